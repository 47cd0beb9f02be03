package pool_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool/pooltest"
	"github.com/stretchr/testify/assert"
)

// Bad days: statements take longer than they may.

func queriesTimeOut(t *testing.T) outcome { return timesOut(t, server.Database(t)) }

func queriesTimeOutOverTLS(t *testing.T) outcome {
	return timesOut(t, own(t, pooltest.WithTLS()).ConnString())
}

func queriesTimeOutSlowly(t *testing.T) outcome {
	proxy := server.Proxy(t)
	proxy.Delay(pooltest.BothWays, 10*time.Millisecond)
	return timesOut(t, proxy.Via(server.Database(t)))
}

// timesOut counts the connections that it costs, and measures how late the caller is
// told.
func timesOut(t *testing.T, connString string) (o outcome) {
	const workers, each = 4, 50
	var opened [2]int64
	for i, r := range rivals(t, circumstances{connString: connString, most: workers}) {
		r.opened(t, workers)
		before := r.opens()
		late := make(chan time.Duration, workers*each)
		crowd(workers, func(int) {
			for range each {
				ctx, cancel := context.WithTimeout(background(t), 30*time.Millisecond)
				_, err := r.exec(ctx, "select pg_sleep(1)")
				late <- past(ctx)
				cancel()
				assert.ErrorIs(t, err, context.DeadlineExceeded)
			}
		})
		opened[i] = r.opens() - before
		r.close()
		close(late)
		lates := sorted(late)
		n := len(lates)
		o[i] = fmt.Sprintf("%d new connections; past the deadline: median %v, p99 %v, worst %v",
			opened[i], shown(lates[n/2]), shown(lates[n*99/100-1]), shown(lates[n-1]))
		if i == us {
			inTime, _ := slices.BinarySearch(lates, cancelGrace)
			assert.LessOrEqual(t, opened[us], int64(n-inTime), "a cancel that is done in time costs none")
		}
	}
	assert.Positive(t, opened[them])
	return o
}

// sorted is what was sent, the least first.
func sorted(sent <-chan time.Duration) (ds []time.Duration) {
	for d := range sent {
		ds = append(ds, d)
	}
	slices.Sort(ds)
	return ds
}
