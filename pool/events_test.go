package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/require"
)

// all lists the events of a pool until its end.
func all(events chan pool.Event) (list []string) {
	for e := range events {
		list = append(list, e.String())
		if e.Kind == pool.EventEnded {
			return list
		}
	}
	return list
}

func TestEventsOfALife(t *testing.T) {
	events := make(chan pool.Event, 1000)
	p, _ := configured(t, func(c *pool.Config) {
		c.MaxConns = 1
		c.OnEvent = func(e pool.Event) { events <- e }
	})
	ctx := background(t)
	c := get(t, p)
	_, err := c.Exec(ctx, "begin")
	require.NoError(t, err)
	c.Release()
	c = get(t, p)
	_, err = p.TryGetConn()
	require.ErrorIs(t, err, pool.ErrExhausted)
	require.NoError(t, p.PutConn(c, pool.WithClose()))
	c = get(t, p)
	c.Hijack().Close(ctx)
	require.NoError(t, p.Resize(0, 2))
	require.NoError(t, p.Pause(ctx))
	require.NoError(t, p.Resume())
	c = get(t, p)
	p.Reset()
	require.NoError(t, c.Conn().Close(ctx))
	c.Release()
	require.Eventually(t, func() bool { return pool.StatOf(p).Closed == 2 }, wide, time.Millisecond)
	require.NoError(t, p.CloseAll(ctx))
	require.Equal(t, []string{
		"opened #1 (1)", "cleaned #1: put in a transaction", "refused: pool exhausted (1 of 1 in use, 0 others waiting)", "closed #1: discarded",
		"opened #2 (1)", "taken #2", "resized (2)", "paused", "resumed",
		"opened #3 (1)", "reset", "closed #3: reset", "closing", "ended",
	}, all(events))
}

func TestEventsOfAnOutage(t *testing.T) {
	events := make(chan pool.Event, 1000)
	config := serverless(t)
	config.OnEvent = func(e pool.Event) { events <- e }
	p, err := pool.NewWithConfig(background(t), config)
	require.NoError(t, err)
	_, err = p.GetConn(background(t))
	require.ErrorIs(t, err, pool.ErrUnavailable)
	require.NoError(t, p.CloseAll(background(t)))
	got := strings.Join(all(events), ", ")
	require.Equal(t, "open failed (1): no server, outage began: no server, refused: no resource available: no server, closing, ended", got)
}

func TestLogEvents(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	lease := &pool.LeaseInfo{ID: 7, Key: "k", Holders: 1, AtLeast: 1500 * time.Millisecond, Holder: "main.f main.go:3", Label: "job"}
	for _, k := range []struct {
		event pool.Event
		want  string
	}{
		{pool.Event{Kind: pool.EventOpened, ID: 1, N: 2}, `level=DEBUG msg="pool: opened" conn=1 n=2`},
		{pool.Event{Kind: pool.EventOpenFailed, Err: errors.New("no"), N: 1}, `level=WARN msg="pool: open failed" error=no n=1`},
		{pool.Event{Kind: pool.EventOpenFailed, Err: errors.New("no"), N: 2}, `level=DEBUG msg="pool: open failed" error=no n=2`},
		{pool.Event{Kind: pool.EventOpenFailed, Err: errors.New("no")}, `level=DEBUG msg="pool: open failed" error=no`},
		{pool.Event{Kind: pool.EventOutageBegan, Err: errors.New("no")}, `level=ERROR msg="pool: outage began" error=no`},
		{pool.Event{Kind: pool.EventOutageEnded, N: 3, Lasted: time.Minute}, `level=INFO msg="pool: outage ended" n=3 lasted=1m0s`},
		{pool.Event{Kind: pool.EventClosed, ID: 1, Reason: pool.ReasonDiscarded}, `level=DEBUG msg="pool: closed" conn=1 reason=discarded`},
		{pool.Event{Kind: pool.EventClosed, ID: 1, Reason: pool.ReasonDiscarded, Err: errors.New("no")}, `level=INFO msg="pool: closed" conn=1 reason=discarded error=no`},
		{pool.Event{Kind: pool.EventClosed, ID: 1, Reason: pool.ReasonUnfit, Err: errors.New("no")}, `level=INFO msg="pool: closed" conn=1 reason=unfit error=no`},
		{pool.Event{Kind: pool.EventRevoked, ID: 7, Reason: pool.ReasonHeld, Lease: lease},
			`level=WARN msg="pool: revoked" conn=7 reason="held too long" held=1.5s key=k holder="main.f main.go:3" label=job`},
		{pool.Event{Kind: pool.EventDropped, N: 5}, `level=WARN msg="pool: events dropped" n=5`},
		{pool.Event{Kind: pool.EventEnded}, `level=INFO msg="pool: ended"`},
		{pool.Event{Kind: pool.EventRefused, Err: pool.ErrExhausted}, `level=DEBUG msg="pool: refused" error="pool exhausted"`},
		{pool.Event{Kind: pool.EventRefused, Err: &pool.ExhaustedError{}},
			`level=DEBUG msg="pool: refused" error="pool exhausted (0 of 0 in use, 0 others waiting)"`}, // one text, though it is a LogValuer
	} {
		var b bytes.Buffer
		h := slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})
		k.event.At = at
		pool.LogEvents(slog.New(h).With())(k.event)
		require.Equal(t, "time=2030-01-02T03:04:05.000Z "+k.want+"\n", b.String())
		b.Reset()
		pool.LogEvents(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelError + 1})))(k.event)
		require.Empty(t, b.String(), "its level is off")
	}
	require.NotPanics(t, func() { pool.LogEvents(nil)(pool.Event{Kind: pool.EventOpened, At: at}) })
}

func ExampleLogEvents() {
	config, err := pool.ParseConfig(server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	config.OnEvent = pool.LogEvents(slog.Default())
	p, err := pool.NewWithConfig(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	p.Close()
}

// EventEnded is the last event: whoever has it has them all.
func ExampleConfig_onEvent() {
	ctx := context.Background()
	config, err := pool.ParseConfig(server.ConnString())
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan struct{})
	config.OnEvent = func(e pool.Event) {
		fmt.Println(e)
		if e.Kind == pool.EventEnded {
			close(ended)
		}
	}
	p, err := pool.NewWithConfig(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := p.Exec(ctx, "select 1"); err != nil {
		log.Fatal(err)
	}
	p.Close()
	<-ended
	// Output:
	// opened #1 (1)
	// closing
	// closed #1: pool closing
	// ended
}
