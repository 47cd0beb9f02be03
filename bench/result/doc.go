// Package result is the file that bench writes and that bench/chart draws: what was
// measured, of whom and where, and how it is summed up.
package result
