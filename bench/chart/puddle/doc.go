// Package puddle compares actor.Supervisor with puddle, on which pgxpool is built, where
// nothing but the lending is measured: what is lent is a number.
//
//	cd bench/chart && go test ./puddle -bench . -count 10 | benchstat -col /peer -
package puddle
