package result

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestQuantile(t *testing.T) {
	assert.Equal(t, 3.0, Median([]float64{5, 1, 3}))
	assert.Equal(t, 3.0, Median([]float64{4, 3, 2, 1}), "the upper")
	assert.Equal(t, 4.0, Quantile([]float64{4, 3, 2, 1}, 0.99))
	assert.Equal(t, 1.0, Quantile([]float64{1}, 0))
	assert.True(t, Median(nil) != Median(nil), "nothing has no median")
}

func TestPaired(t *testing.T) {
	slowLater := []float64{100, 100, 400, 400, 400} // the machine was slower in the last rounds
	q, ok := Paired([]float64{50, 50, 200, 200, 200}, slowLater)
	assert.True(t, ok)
	assert.Equal(t, Ratio{0.5, 0.5, 0.5}, q)
	q, _ = Paired([]float64{3, 1, 2, 1}, []float64{1, 1, 1, 1})
	assert.Equal(t, Ratio{2, 1, 3}, q)
	_, ok = Paired([]float64{1, 2}, []float64{0})
	assert.False(t, ok, "nothing to divide by")
}
