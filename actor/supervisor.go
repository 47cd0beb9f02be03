package actor

import (
	"context"
	"time"

	"github.com/pgactor/pgactor/actor/internal/core"
	"github.com/pgactor/pgactor/actor/internal/line"
)

// A Supervisor owns a set of resources and lends them. Its methods may be called from
// any number of goroutines. Make one with [Start]; end it with [Supervisor.CloseAll].
type Supervisor[R any] struct {
	cfg Config[R]

	line    *line.Line[*slot[R]] // idle resources, and the line of gets that wait for one
	inbox   chan message[R]      // what needs a decision
	closing chan struct{}        // closed when CloseAll has begun
	closed  chan struct{}        // closed when the supervisor has ended
	fewIdle chan struct{}        // a token inside: the get that leaves fewer than MinIdle takes it and says so
	unlent  chan struct{}        // a token inside: the next lease takes it and tells that MaxLease begins to run
	board   board                // how things stand, for the errors of gets
	reports reports

	// Counted without the supervisor: gets whose wait was in vain, and gets refused since
	// too many wait.
	gaveUp, turnedAway counter

	began  time.Time       // times inside are durations since then
	values context.Context // carries Start's values to the dials of the first fill
	final  Stat            // the last one, readable once closed is closed
}

// A message is what the inbox takes. Which fields are set depends on its kind.
type message[R any] struct {
	kind    messageKind
	verdict Verdict
	why     Reason          // of the verdict
	slot    *slot[R]        // of a put
	job     *job[R]         // of a report
	ctx     context.Context // of a waiter
	ask     func(l *loop[R], now time.Duration)
}

type messageKind uint8

const (
	waitMessage   messageKind = iota // a get waits; ctx
	putMessage                       // slot, verdict, why
	sweepMessage                     // a recalled slot lies idle
	lentMessage                      // a lease has begun, where MaxLease had none to watch
	wakeMessage                      // something is due, or fewer than MinIdle are idle
	reportMessage                    // a helper is done; job
	askMessage                       // ask is to be run
)

// The sizes of the channels whose size is no promise. They count for a pool of one
// connection, of which a program may have many.
const (
	inboxSize = 32
	idleLeast = 64   // room to grow in, see Resize
	idleMost  = 4096 // the supervisor keeps what does not fit
)

// Start starts a supervisor and returns at once; MinOpen and MinIdle resources are
// opened in the background, with the values but not the cancellation of ctx (see
// [Supervisor.Ready]). The error is a [*ConfigError].
func Start[R any](ctx context.Context, cfg Config[R]) (*Supervisor[R], error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := newSupervisor(ctx, cfg.withDefaults())
	if s.cfg.OnEvent != nil {
		s.reports.events, s.reports.told = make(chan Event, eventsKept), make(chan struct{})
		go background(s.report)
	}
	go background(newLoop(s).run)
	return s, nil
}

func newSupervisor[R any](ctx context.Context, cfg Config[R]) *Supervisor[R] {
	s := &Supervisor[R]{
		cfg:        cfg,
		inbox:      make(chan message[R], inboxSize),
		closing:    make(chan struct{}),
		closed:     make(chan struct{}),
		fewIdle:    make(chan struct{}, 1),
		unlent:     make(chan struct{}, 1),
		board:      newBoard(),
		gaveUp:     newCounter(),
		turnedAway: newCounter(),
		began:      time.Now(),
		values:     context.WithoutCancel(ctx),
	}
	s.line = line.New(cfg.room(), line.Owner[*slot[R]]{
		Wake:   s.wake,
		Bring:  func(sl *slot[R]) { s.bring(sl, Keep, ReasonNone) },
		Passed: func(sl *slot[R]) { s.lookAgain(sl.recall) },
		Step:   cfg.step,
	})
	return s
}

// wake tells the supervisor that a get waits, unless it knows.
func (s *Supervisor[R]) wake(ctx context.Context) {
	if _, knows := ctx.(admitted); !knows {
		s.send(message[R]{kind: waitMessage, ctx: ctx})
	}
}

// room is the number of idle resources that the line has room for. With MaxIdle it is
// exact: one more that is put goes to the supervisor, which closes it.
func (c *Config[R]) room() int {
	if most := c.mostIdle(); most != core.NoLimit {
		return min(most, idleMost)
	}
	return min(max(c.MaxOpen, idleLeast), idleMost)
}

// now is the supervisor's clock. It is monotonic: a jump of the wall clock changes
// nothing.
func (s *Supervisor[R]) now() time.Duration { return time.Since(s.began) }

// send gives the supervisor a message. It returns false if the supervisor has ended. It
// blocks only until the supervisor, which never blocks, has made room.
func (s *Supervisor[R]) send(msg message[R]) bool {
	s.at(beforeSend)
	select {
	case s.inbox <- msg: // most often; a select of two ways costs more
		return true
	default:
	}
	select {
	case s.inbox <- msg:
		return true
	case <-s.closed:
		return false
	}
}

// ask has the supervisor's goroutine run f. It returns false if the supervisor has ended.
func ask[R, A any](s *Supervisor[R], f func(l *loop[R], now time.Duration) A) (answer A, ok bool) {
	reply := make(chan A, 1)
	if !s.post(func(l *loop[R], now time.Duration) { reply <- f(l, now) }) {
		return answer, false
	}
	select {
	case answer = <-reply:
		return answer, true
	case <-s.closed:
	}
	select { // answered in the last drain
	case answer = <-reply:
		return answer, true
	default:
		return answer, false
	}
}

// post is ask without waiting for an answer.
func (s *Supervisor[R]) post(f func(l *loop[R], now time.Duration)) bool {
	return s.send(message[R]{kind: askMessage, ask: f})
}

// coreConfig is what the machine must know.
func (c *Config[R]) coreConfig() core.Config {
	return core.Config{
		MaxOpen: c.MaxOpen, MinOpen: c.MinOpen, MinIdle: c.MinIdle, MaxIdle: c.mostIdle(),
		MaxAge: c.MaxAge, AgeJitter: c.AgeJitter, MaxRest: c.MaxRest, CheckPeriod: c.CheckPeriod,
		MaxLease: c.MaxLease, MaxWaiting: c.MaxWaiting, MaxDials: c.MaxDials,
		BackoffMin: c.BackoffMin, BackoffMax: c.BackoffMax, ReconnectTimeout: c.ReconnectTimeout,
		OpenTimeout: c.OpenTimeout, CleanTimeout: c.CleanTimeout, CheckTimeout: c.CheckTimeout, CloseGrace: c.CloseGrace,
		WaitForServer: c.Outage == WaitForServer, KeepAlive: c.KeepAlive,
		Look: c.Look != nil, Clean: c.Clean != nil, Check: c.Check != nil,
	}
}
