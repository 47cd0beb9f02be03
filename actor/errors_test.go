package actor

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An error of a get in vain says what is under way, and for how long the first has been.
func TestShortageTellsWhatIsUnderWay(t *testing.T) {
	hang := func(ctx context.Context, _ *thing) error { <-ctx.Done(); return nil }
	cfg := Config[*thing]{
		MaxOpen: 4, GetTimeout: 2 * time.Second, CloseGrace: time.Hour, CleanTimeout: time.Hour, CheckTimeout: time.Hour,
		Close: hang, Clean: hang, Judge: func(th *thing) Verdict {
			if th.id == 1 {
				return Clean
			}
			return Discard
		},
	}
	inBed(t, cfg, func(b *bed) {
		leases := b.leases(3)
		b.opening = func(ctx context.Context, _ int64) error { <-ctx.Done(); return ctx.Err() }
		b.put(leases[0])
		time.Sleep(time.Second)
		b.put(leases[1])
		time.Sleep(time.Second)
		b.put(leases[2])
		w := b.get()
		w.waits()
		time.Sleep(2 * time.Second)
		var vain *WaitError
		require.ErrorAs(b, w.fails(), &vain)
		assert.EqualError(b, vain, "get timed out after 2s: no resource available (0 of 4 in use, "+
			"1 being opened for up to 2s, 1 being cleaned or checked for up to 4s, 2 being closed for up to 3s, 0 others waiting)")
	})
}

// errClosedPool is another package's error, such as puddle's.
var errClosedPool = errors.New("closed pool")

func TestErrClosedIsPuddles(t *testing.T) {
	assert.ErrorIs(t, ErrClosed, errClosedPool)
	assert.NotErrorIs(t, ErrClosed, errors.New("closed"))
	assert.ErrorIs(t, &RevokedError{Reason: ReasonClosing}, errClosedPool)
	assert.NotErrorIs(t, &RevokedError{Reason: ReasonHeld}, errClosedPool)
}

func TestErrorsAreLogValuers(t *testing.T) {
	shortage := Shortage{Limit: 4, Leased: 3, Closing: 1, ClosingFor: time.Second, Waiting: 2}
	for _, k := range []struct {
		err  error
		want string
	}{
		{
			&WaitError{Err: ErrTimeout, Cause: ErrExhausted, Waited: time.Second, Shortage: shortage},
			`e.msg="get timed out after 1s: pool exhausted (3 of 4 in use, 1 being closed for up to 1s, 2 others waiting)" ` +
				`e.limit=4 e.leased=3 e.opening=0 e.mending=0 e.closing=1 e.waiting=2 e.waited=1s`,
		},
		{
			&ExhaustedError{Shortage{Limit: 1, Leased: 1, Oldest: time.Minute}},
			`e.msg="pool exhausted (1 of 1 in use, 0 others waiting, oldest lease 1m0s)" ` +
				`e.limit=1 e.leased=1 e.opening=0 e.mending=0 e.closing=0 e.waiting=0 e.oldest=1m0s`,
		},
		{
			&TooManyWaitingError{Shortage{Limit: 1, Leased: 1, Waiting: 9}},
			`e.msg="too many gets are waiting (1 of 1 in use, 9 others waiting)" ` +
				`e.limit=1 e.leased=1 e.opening=0 e.mending=0 e.closing=0 e.waiting=9`,
		},
		{&CloseError{Err: context.Canceled, Leases: []LeaseInfo{{ID: 7, Holders: 1}}}, `e.msg="close: context canceled: 1 leases revoked: #7" e.revoked=1`},
		{
			&RevokedError{Reason: ReasonHeld, Held: 2 * time.Second, Limit: time.Second},
			`e.msg="connection revoked: held longer than MaxLeaseTime (1s)" e.reason="held too long" e.held=2s`,
		},
		{&ConfigError{"MaxOpen", 0, "must be at least 1"}, `e.msg="invalid MaxOpen 0: must be at least 1" e.field=MaxOpen`},
		{&KeyError{"k", "is odd"}, `e.msg="invalid key of type string: is odd"`},
		{&BusyError{"k", "rows are open"}, `e.msg="shared resource is in use: key k: rows are open" e.doing="rows are open"`},
	} {
		var b bytes.Buffer
		slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key != "e" {
				return slog.Attr{}
			}
			return a
		}})).Info("", "e", k.err)
		assert.Equal(t, k.want+"\n", b.String())
	}
}
