// Command bench measures pgactor's pools beside their peers, in one process and
// in turns, so that the ratios say something on a noisy machine too:
//
//	go run ./bench              # all of it, about three minutes
//	go run ./bench -short       # a smoke run of some seconds
//	go run ./bench -run getput  # one study
//
// It starts a PostgreSQL of its own, prints a table for each study, and writes
// what it measured to a file, from which bench/chart draws pictures. The same
// cases are Go benchmarks, for benchstat:
//
//	go test ./bench -bench GetPut -count 10 | benchstat -col /peer -
//
// # Reading the code
//
// peer.go says what is asked of a pool, and peer_*.go are the pools; study.go says
// what a study is, and study_*.go are the studies; load.go runs their goroutines,
// measure.go has the peers take turns; sample.go is what a turn says; report.go prints.
// Package result is the file, and the arithmetic that tables and pictures share.
package main
