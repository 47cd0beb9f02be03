package actor

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// lets has the supervisor wake so often while so many messages are about to come, and
// counts how often it lets them.
func lets(b *batching, wakes, about int) (often int) {
	for range wakes {
		if b.let() {
			often++
			b.came(about)
		}
	}
	return often
}

func TestBatchingLooksNowAndThen(t *testing.T) {
	var b batching
	assert.Equal(t, 3*batchLook, lets(&b, 3*(batchEvery+batchLook), batchPays-1))
}

func TestBatchingGoesOnWhileItPays(t *testing.T) {
	var b batching
	lets(&b, batchEvery+batchLook, batchPays)
	assert.Equal(t, 1000, lets(&b, 1000, batchPays))
}

func TestBatchingEndsWhenItPaysNoMore(t *testing.T) {
	var b batching
	lets(&b, batchEvery+batchLook, 100)
	assert.LessOrEqual(t, lets(&b, batchEvery, 1), batchLook)
}
