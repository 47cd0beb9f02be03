package actor

import (
	"context"
	"time"
)

// A Supervisor owns a set of resources and lends them. Its methods may be
// called from any number of goroutines. Make one with [Start]; end it with
// [Supervisor.CloseAll].
type Supervisor[R any] struct {
	cfg Config[R]

	// The channels, all there are. Only the supervisor's goroutine closes one.
	inbox   chan message[R] // borrowers and helpers to the supervisor
	idle    chan *slot[R]   // the shelf
	gate    chan struct{}   // a token inside: shut; borrowers read len as a hint
	closed  chan struct{}   // closed when the actor has ended
	tickets chan *ticket[R] // free list of requests

	began  time.Time       // times inside are durations since then
	values context.Context // carries Start's values to the dials of the first fill
	final  Stat            // the last word, readable once closed is closed
}

// A message is what the supervisor's inbox takes. Which fields are set depends
// on its kind.
type message[R any] struct {
	kind    messageKind
	verdict Verdict
	slot    *slot[R]
	ticket  *ticket[R]
	job     *job[R]
	ask     func(m *machine[R], now time.Duration)
}

type messageKind uint8

const (
	getMessage    messageKind = iota // ticket: a new request
	againMessage                     // ticket: its slot proved unfit before use
	cancelMessage                    // ticket: its borrower gave up
	putMessage                       // slot, verdict
	nudgeMessage                     // a recalled slot lies on the shelf
	reportMessage                    // job: a helper is done
	askMessage                       // ask: a question, answered by running it
)

// The sizes of the channels whose size is no promise.
const (
	inboxSize   = 128
	shelfSize   = 1024 // at most; the hands take what does not fit
	ticketsKept = 1024
)

// Start starts a supervisor and returns at once; the MinOpen resources of the
// first fill are opened in the background, with the values but not the
// cancellation of ctx (see [Supervisor.Ready]). The error is a [*ConfigError].
func Start[R any](ctx context.Context, cfg Config[R]) (*Supervisor[R], error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Supervisor[R]{
		cfg:     cfg,
		inbox:   make(chan message[R], inboxSize),
		idle:    make(chan *slot[R], min(cfg.MaxOpen, shelfSize)),
		gate:    make(chan struct{}, 1),
		closed:  make(chan struct{}),
		tickets: make(chan *ticket[R], ticketsKept),
		began:   time.Now(),
		values:  context.WithoutCancel(ctx),
	}
	go newDesk(s).run()
	return s, nil
}

// now is the supervisor's clock: monotonic, so a jump of the wall clock
// changes nothing.
func (s *Supervisor[R]) now() time.Duration { return time.Since(s.began) }

// send gives the supervisor a message, unless the actor has ended. It blocks
// only until the supervisor, which never blocks, has made room.
func (s *Supervisor[R]) send(msg message[R]) bool {
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

// ask has the supervisor answer a question about its books. It returns false
// if the actor has ended.
func ask[R, A any](s *Supervisor[R], question func(m *machine[R], now time.Duration) A) (answer A, ok bool) {
	reply := make(chan A, 1)
	sent := s.send(message[R]{kind: askMessage, ask: func(m *machine[R], now time.Duration) {
		reply <- question(m, now)
	}})
	if !sent {
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

// Stat tells how things stand. The supervisor answers at once, whatever
// borrowers and helpers are doing; after the end it is the last word.
func (s *Supervisor[R]) Stat() Stat {
	if st, ok := ask(s, func(m *machine[R], _ time.Duration) Stat { return m.stat() }); ok {
		return st
	}
	return s.final
}

// Leases lists what is lent, keyed or not. The supervisor answers at once.
func (s *Supervisor[R]) Leases() []LeaseInfo {
	leases, _ := ask(s, func(m *machine[R], now time.Duration) []LeaseInfo { return m.leases(now) })
	return leases
}

// Reset makes every resource old: idle ones are closed now, lent ones when
// they are put, those being opened when they arrive. A Get that begins after
// Reset returned never yields an old one, except under a key that is bound
// already. Reset returns at once; the error is ErrClosed once the supervisor has
// ended.
func (s *Supervisor[R]) Reset() error {
	_, ok := ask(s, func(m *machine[R], _ time.Duration) struct{} { m.reset(); return struct{}{} })
	if !ok {
		return ErrClosed
	}
	return nil
}

// Ready blocks until the first fill is complete, MinOpen resources opened, or
// given up because an Open failed: then the error is ErrUnavailable and wraps
// the failure. It blocks until ctx ends at the latest: then the error is a
// [*WaitError]. The other error is ErrClosed.
func (s *Supervisor[R]) Ready(ctx context.Context) error {
	t := s.ticket()
	t.ctx, t.ready = ctx, true
	_, err := s.request(ctx, t)
	return err
}

// CloseAll ends the supervisor. Requests that wait, and all that come later,
// get ErrClosed; idle resources are closed; Opens under way are cancelled.
// Borrowers may finish until ctx ends: then the resources still lent are
// killed, and the error is a [*CloseError] that names their leases. With an
// ended ctx that happens at once.
//
// CloseAll returns when everything is closed, at the latest CloseGrace after
// ctx has ended. A function of the Config that ignores its context is named in
// the error; its goroutine, and the supervisor's that waits for it, are all
// that can outlive CloseAll. A second call gets ErrClosed; one that comes while
// the first still waits shares its result, and the first context that ends
// counts for both.
func (s *Supervisor[R]) CloseAll(ctx context.Context) error {
	done := make(chan error, 1)
	cause := context.Cause(ctx) // asked here: a context may be the caller's own code
	if !s.send(message[R]{kind: askMessage, ask: func(m *machine[R], now time.Duration) {
		m.closeAll(now, done)
		if cause != nil {
			m.revoke(now, cause)
		}
	}}) {
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-s.closed:
	case <-ctx.Done():
		ended := context.Cause(ctx)
		s.send(message[R]{kind: askMessage, ask: func(m *machine[R], now time.Duration) { m.revoke(now, ended) }})
	}
	select {
	case err := <-done:
		return err
	case <-s.closed:
	}
	select {
	case err := <-done:
		return err
	default:
		return ErrClosed
	}
}
