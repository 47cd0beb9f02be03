package persistent_test

import (
	"testing"

	"github.com/pgactor/pgactor/persistent"
	"github.com/stretchr/testify/require"
)

func TestNoIdentity(t *testing.T) {
	p, err := persistent.New(t.Context(), server.Database(t))
	require.NoError(t, err)
	_, err = p.GetConn(t.Context())
	require.ErrorIs(t, err, persistent.ErrNoIdentity)
	require.NoError(t, p.CloseAll(t.Context()))
}
