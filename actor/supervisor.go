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
	idle    chan *slot[R]   // the shelf below its top
	top     chan *slot[R]   // cap 1, or 0 with MaxIdle: the top of the shelf, taken first
	gate    chan struct{}   // a token inside: shut; borrowers read len as a hint
	low     chan struct{}   // a token inside: who leaves fewer than MinIdle takes it and tells
	closed  chan struct{}   // closed when the actor has ended
	tickets chan *ticket[R] // free list of requests

	reports reports

	began  time.Time       // times inside are durations since then
	values context.Context // carries Start's values to the dials of the first fill
	final  Stat            // the last word, readable once closed is closed
}

// A message is what the supervisor's inbox takes. Which fields are set depends
// on its kind.
type message[R any] struct {
	kind    messageKind
	verdict Verdict
	why     Reason // of the verdict
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
	putMessage                       // slot, verdict, why
	nudgeMessage                     // a recalled slot lies on the shelf
	wakeMessage                      // something is due, or fewer than MinIdle lie on the shelf
	reportMessage                    // job: a helper is done
	askMessage                       // ask: a question, answered by running it
)

// The sizes of the channels whose size is no promise.
const (
	inboxSize   = 128
	shelfLeast  = 256  // room to grow in, see Resize
	shelfMost   = 1024 // the hands take what does not fit
	ticketsKept = 1024
)

// Start starts a supervisor and returns at once; MinOpen and MinIdle resources
// are opened in the background, with the values but not the cancellation of ctx
// (see [Supervisor.Ready]). The error is a [*ConfigError].
func Start[R any](ctx context.Context, cfg Config[R]) (*Supervisor[R], error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Supervisor[R]{
		cfg:     cfg,
		inbox:   make(chan message[R], inboxSize),
		idle:    make(chan *slot[R], cfg.roomBelow()),
		top:     make(chan *slot[R], cfg.roomOnTop()),
		gate:    make(chan struct{}, 1),
		low:     make(chan struct{}, 1),
		closed:  make(chan struct{}),
		tickets: make(chan *ticket[R], ticketsKept),
		began:   time.Now(),
		values:  context.WithoutCancel(ctx),
	}
	if cfg.OnEvent != nil {
		s.reports.events = make(chan Event, eventsKept)
		go s.report()
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

// sent is send, with an error.
func (s *Supervisor[R]) sent(msg message[R]) error {
	if !s.send(msg) {
		return ErrClosed
	}
	return nil
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
	st, ok := ask(s, func(m *machine[R], now time.Duration) Stat {
		m.walkShelf(now) // counts what was lent over it
		return m.stat()
	})
	if ok {
		return st
	}
	return s.final
}

// Reset makes every resource old: idle ones are closed now, lent ones when
// they are put, those being opened when they arrive. A Get that begins after
// Reset returned never yields an old one, except under a key that is bound
// already. Reset returns at once; the error is ErrClosed once the supervisor has
// ended.
func (s *Supervisor[R]) Reset() error { return s.tell((*machine[R]).reset) }

// Ready blocks until MinOpen and MinIdle resources are open, or until ctx ends:
// then the error is a [*WaitError]. If Open fails it returns with ErrUnavailable
// that wraps the failure (see [OutagePolicy]). The other error is ErrClosed.
func (s *Supervisor[R]) Ready(ctx context.Context) error {
	return s.waitFor(ctx, forMinimum)
}

// Pause stops lending and blocks until nothing is lent; while it waits, holders of
// a key still share what is bound to it. A get then waits until Resume, and one
// that does not wait gets ErrPaused. Idle resources stay open, nothing new is
// opened. If ctx ends before everything is back the error is a [*WaitError], and
// the pause has had no effect, unless another one is in force. Other errors:
// ErrResumed if Resume came first, ErrClosed.
func (s *Supervisor[R]) Pause(ctx context.Context) error {
	return s.waitFor(ctx, forQuiet)
}

func (s *Supervisor[R]) waitFor(ctx context.Context, w want) error {
	if ctx.Err() != nil {
		return s.tooLate(ctx, w)
	}
	t := s.ticket()
	t.ctx, t.asks = ctx, w
	_, err := s.request(ctx, t)
	return err
}

// tooLate is the error of a call whose context had ended before. It tells what the call
// would have waited for, as if the context had ended a moment later.
func (s *Supervisor[R]) tooLate(ctx context.Context, w want) error {
	e, ok := ask(s, func(m *machine[R], now time.Duration) *WaitError {
		if w == forMinimum && m.filled() || w == forQuiet && m.leased() == 0 {
			return nil // for nothing
		}
		return m.waitError(now, &ticket[R]{asks: w, wait: waiting[R]{since: now}})
	})
	switch {
	case !ok:
		return ErrClosed
	case e == nil:
		return endedError("wait", ctx)
	}
	e.endedBy(ctx)
	return s.explain(e)
}

// Resume ends a pause; those who wait are served. Without a pause it does
// nothing. It returns at once; the error is ErrClosed once the supervisor has
// ended.
func (s *Supervisor[R]) Resume() error { return s.tell((*machine[R]).resume) }

// Resize sets MinOpen and MaxOpen anew. Growing has an effect at once.
// Shrinking closes what is idle and too many, and what is put until there are
// no more than maxOpen; nothing is taken from its borrower. It returns at once;
// the error is a [*ConfigError] for sizes that cannot be, and then nothing is
// changed, or ErrClosed once the supervisor has ended.
func (s *Supervisor[R]) Resize(minOpen, maxOpen int) error {
	cfg := s.cfg
	cfg.MinOpen, cfg.MaxOpen = minOpen, maxOpen
	cfg.MinIdle, cfg.MaxIdle = min(cfg.MinIdle, maxOpen), min(cfg.MaxIdle, maxOpen)
	if err := cfg.validate(); err != nil {
		return err
	}
	return s.tell(func(m *machine[R]) { m.resize(minOpen, maxOpen) })
}

// tell has the supervisor change its books, and waits until it has.
func (s *Supervisor[R]) tell(change func(*machine[R])) error {
	told, ok := ask(s, func(m *machine[R], _ time.Duration) bool {
		if m.end.answered { // CloseAll may have returned, though closed is not closed yet
			return false
		}
		change(m)
		return true
	})
	if !ok || !told {
		return ErrClosed
	}
	return nil
}

// tellNow has the supervisor change its books, without waiting for it.
func (s *Supervisor[R]) tellNow(change func(m *machine[R], now time.Duration)) error {
	return s.sent(message[R]{kind: askMessage, ask: change})
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
		return s.explain(err)
	case <-s.closed:
	case <-ctx.Done():
		ended := context.Cause(ctx)
		s.send(message[R]{kind: askMessage, ask: func(m *machine[R], now time.Duration) { m.revoke(now, ended) }})
	}
	select {
	case err := <-done:
		return s.explain(err)
	case <-s.closed:
	}
	select {
	case err := <-done:
		return s.explain(err)
	default:
		return ErrClosed
	}
}
