package result

// Units, named as in Go's benchmarks. Less is better with all of them.
const (
	PerOp      = "ns/op"
	Allocs     = "allocs/op"
	BytesPerOp = "B/op"
	Mean       = "mean-ns"
	P50        = "p50-ns"
	P99        = "p99-ns"
	P999       = "p99.9-ns"
	Worst      = "worst-ns"
	Opened     = "opened" // connections
	Bytes      = "B"
	Goroutines = "goroutines"
)
