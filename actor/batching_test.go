package actor

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// let has the supervisor wake so often while so many are about to send, and counts
// how often it lets them.
func (b *batching) let(wakes, about int) (often int) {
	for range wakes {
		if b.pays() {
			often++
			b.came(about)
		}
	}
	return often
}

func TestBatchingIsTriedNowAndThen(t *testing.T) {
	var b batching
	assert.Equal(t, 10, b.let(10*batchTry, 1))
}

func TestBatchingGoesOnWhileItPays(t *testing.T) {
	var b batching
	b.let(10*batchTry, 2*batchPays)
	assert.Equal(t, 1000, b.let(1000, 2*batchPays))
}

func TestBatchingEndsWhenItPaysNoMore(t *testing.T) {
	var b batching
	b.let(10*batchTry, 100)
	b.let(100, 1)
	assert.Equal(t, 10, b.let(10*batchTry, 1))
}
