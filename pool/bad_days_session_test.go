package pool_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Bad days: of sessions that are no longer what they were.

// turnsReadOnly has a session refuse writes from now on, as those to a former primary
// do. It goes on to answer pings.
func turnsReadOnly(t *testing.T) (o outcome) {
	url := server.Database(t) + "&target_session_attrs=read-write"
	var failed [2]int
	for i, r := range rivals(t, circumstances{connString: url, most: 1}) {
		_, err := r.exec(background(t), "set default_transaction_read_only = on")
		require.NoError(t, err)
		for range 10 {
			if _, err := r.exec(background(t), "create table if not exists t ()"); err != nil {
				require.Equal(t, "25006", code(err), err)
				failed[i]++
			}
		}
		o[i] = fmt.Sprintf("%d failed", failed[i])
		r.close()
	}
	assert.Equal(t, 10, failed[them])
	assert.Equal(t, 1, failed[us])
	return o
}

func releasedInTransaction(t *testing.T) (o outcome) {
	var opened [2]int64
	for i, r := range rivals(t, circumstances{connString: server.Database(t), most: 1}) {
		for range 10 {
			c, put, err := r.get(background(t))
			require.NoError(t, err)
			_, err = c.Exec(background(t), "begin")
			require.NoError(t, err)
			put()
		}
		_, err := r.exec(background(t), "select 1")
		require.NoError(t, err)
		opened[i] = r.opens()
		o[i] = fmt.Sprintf("%d connections opened", opened[i])
		r.close()
	}
	assert.EqualValues(t, 11, opened[them])
	assert.EqualValues(t, 1, opened[us])
	return o
}
