package main

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// The studies as Go benchmarks: one for each, peers as the last part of the name, so
// that benchstat -col /peer sets them side by side.

func BenchmarkGetPut(b *testing.B)    { benchmark(b, getPut()) }
func BenchmarkKeyed(b *testing.B)     { benchmark(b, keys()) }
func BenchmarkTracked(b *testing.B)   { benchmark(b, tracking()) }
func BenchmarkWait(b *testing.B)      { benchmark(b, waits()) }
func BenchmarkCancel(b *testing.B)    { benchmark(b, cancels()) }
func BenchmarkBurst(b *testing.B)     { benchmark(b, bursts()) }
func BenchmarkQuery(b *testing.B)     { benchmark(b, queries()) }
func BenchmarkNetwork(b *testing.B)   { benchmark(b, proxied()) }
func BenchmarkWork(b *testing.B)      { benchmark(b, work()) }
func BenchmarkFootprint(b *testing.B) { benchmark(b, footprint()) }
func BenchmarkLimit(b *testing.B)     { benchmark(b, limits()) }
func BenchmarkWaiters(b *testing.B)   { benchmark(b, crowds()) }

// theLab is where all benchmarks are made.
var theLab *lab

func TestMain(m *testing.M) {
	os.Exit(inLab(m.Run))
}

func inLab(run func() int) int {
	l, err := newLab(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer l.close()
	theLab = l
	return run()
}

func benchmark(b *testing.B, s study) {
	for _, set := range s.settings {
		for _, p := range set.peers {
			b.Run(set.String()+"/peer="+p.name, func(b *testing.B) {
				t, err := set.measure(context.Background(), theLab, p)
				if err != nil {
					b.Fatal(err)
				}
				b.ResetTimer()
				found, err := t(b.N)
				if err != nil {
					b.Fatal(err)
				}
				for unit, value := range found {
					b.ReportMetric(value, unit)
				}
			})
		}
	}
}
