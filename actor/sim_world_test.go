package actor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pgactor/pgactor/actor/internal/line"
)

// A world is a simulated Supervisor with its borrowers and resources.
type world struct {
	*testing.T
	rng      *rand.Rand
	s        *Supervisor[*res]
	l        *loop[*res]
	settings string

	arrives chan *parked
	parked  []*parked
	pace    int // in percent: steps, rather than something new
	steps   int
	trace   []string
	tally   tally

	broken   string // what is wrong
	brokenAt int
	free     bool // nobody is parked any more
	calm     bool // hooks do what they should

	borrowers []*client
	control   *controller // Reset, Pause, Resize and so on
	closer    *controller // CloseAll

	all            []*res
	target, most   int // the limit; what there may be while it is lowered
	resetsBegun    int
	resetsReturned int
	turning        bool // the supervisor is in the midst of a turn
	pausing        bool // Pause was called
	paused         bool // and has returned
	closing        bool // CloseAll was called
	forced         bool // and its context has ended
	ended          bool // and it has returned
}

// A tally counts what happened, so that a simulation in which nothing does is seen.
type tally struct{ Lent, Opened, Closed, Killed, Cancelled, Refused, Pauses, Resets, Panics, Rests int }

func (t *tally) add(o tally) {
	t.Lent += o.Lent
	t.Opened += o.Opened
	t.Closed += o.Closed
	t.Killed += o.Killed
	t.Cancelled += o.Cancelled
	t.Refused += o.Refused
	t.Pauses += o.Pauses
	t.Resets += o.Resets
	t.Panics += o.Panics
	t.Rests += o.Rests
}

// A res is a resource that knows who has it.
type res struct {
	id      int
	born    int // resets begun before its Open
	holder  *client
	lends   int
	revoked bool // a holder has been told so
	open    bool
	puts    int // that have not returned
	hook    string
	since   time.Time // when the hook began
	known   bool      // the supervisor knows that it is open
	long    bool      // a hook or its report took so long that its place may be free
	closes  int
	kills   int
	mended  time.Time // when Clean or Check was last begun
	late    bool      // it was killed in a hook
	taken   bool
	counted bool
}

// held reports whether a borrower has r, and rightly so.
func (r *res) held() bool {
	return r.holder != nil && r.holder.lease != nil && r.holder.lease.Revoked() == nil
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{T: t, rng: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), arrives: make(chan *parked, 10_000)}
	w.pace = 60 + w.n(37)
	w.target = 1 + w.n(4)
	w.most = w.target
	cfg := Config[*res]{
		MaxOpen: w.target, Open: w.open, Close: w.close, Kill: w.kill,
		BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond, OpenTimeout: 3 * time.Second,
		step: func(s line.Step) { w.park(stepName(s)) }, point: w.point,
	}
	maybe := func(percent int) bool { return w.n(100) < percent }
	if maybe(40) {
		cfg.Judge = w.judge
	}
	if maybe(30) {
		cfg.Look, cfg.LookAfter = w.look, w.pick(1, time.Millisecond)
	}
	if maybe(30) {
		cfg.Prepare = w.prepare
	}
	if maybe(70) {
		cfg.Clean = w.mend("Clean")
	}
	if maybe(70) {
		cfg.Check = w.mend("Check")
		cfg.KeepAlive, cfg.CheckPeriod = maybe(30), w.pick(50*time.Millisecond, time.Second)
	}
	if maybe(30) {
		cfg.MinOpen = w.n(w.target + 1)
	}
	if maybe(30) {
		cfg.MinIdle = w.n(w.target + 1)
	}
	if maybe(20) {
		if cfg.MaxIdle = max(cfg.MinOpen, cfg.MinIdle); cfg.MaxIdle == 0 {
			cfg.MaxIdle = 1 - 2*w.n(2) // or KeepNone
		}
	}
	if maybe(20) {
		cfg.MaxAge, cfg.AgeJitter = w.pick(50*time.Millisecond, time.Second), time.Millisecond
	}
	if maybe(20) {
		cfg.MaxRest = w.pick(10*time.Millisecond, time.Second)
	}
	if maybe(40) {
		cfg.MaxLease = w.pick(time.Microsecond, 20*time.Millisecond, time.Second)
	}
	if maybe(20) {
		cfg.MaxWaiting = 1 + w.n(3)
	}
	if maybe(20) {
		cfg.GetTimeout = w.pick(time.Millisecond, time.Second)
	}
	if maybe(40) {
		cfg.Outage = WaitForServer
	}
	if maybe(20) {
		cfg.MaxDials = 1
	}
	w.settings = fmt.Sprintf("%+v", cfg)
	if err := cfg.validate(); err != nil {
		panic(err)
	}
	w.s = newSupervisor(t.Context(), cfg.withDefaults())
	w.l = newLoop(w.s)
	go w.l.run()
	for i := range 1 + w.n(6) {
		b := &client{w: w, name: fmt.Sprint("borrower ", i), controller: newController()}
		w.borrowers = append(w.borrowers, b)
	}
	w.control, w.closer = newController(), newController()
	return w
}

// point parks a goroutine at a point, and notes whether the supervisor is in the midst of
// a turn, with a clock that it has read.
func (w *world) point(p point) {
	if p == beforeSettle {
		w.turning = true
	}
	w.park(pointNames[p])
	switch p {
	case beforeWait:
		w.turning = false
	case beforeHandling:
		w.turning = true
	}
}

var pointNames = [...]string{
	beforeSettle: "SETTLE", beforeWait: "WAIT", beforeHandling: "HANDLE", beforeRecall: "recall", beforeRevoke: "revoke", beforeTakingCard: "take card", beforePuttingCard: "put card back",
	beforeLook: "look at recall", beforeSecondLook: "look at recall again", beforeLayingCard: "lay card", beforeLiftingCard: "lift card", beforeSend: "send",
}

func (w *world) n(most int) int { return w.rng.IntN(most) }

func (w *world) pick(of ...time.Duration) time.Duration { return of[w.n(len(of))] }

// in reports true in percent of a hundred cases, unless the world is calm.
func (w *world) in(percent int) bool { return !w.calm && !w.free && w.n(100) < percent }

func (w *world) breaks(format string, args ...any) {
	if w.broken == "" {
		w.broken, w.brokenAt = fmt.Sprintf(format, args...), w.steps
		w.note("BROKEN: %s", w.broken)
	}
}

// check checks the rules that hold at every moment.
func (w *world) check() {
	live := 0
	for _, r := range w.all {
		if r.counted && !r.long && (r.hook != "" || !r.known) && time.Since(r.since) >= 100*time.Millisecond {
			r.long = true
		}
		if r.counted && !r.long {
			live++
		}
	}
	if live > w.most {
		w.breaks("rule 1: %d are open, being opened or being closed, limit %d: %s", live, w.most, w.living())
	}
	gets := w.gets()
	if n := w.s.line.Waiting() + w.s.line.Answers(); n > gets {
		w.breaks("rule 5: %d tokens and answers for %d gets", n, gets)
	}
	if len(w.parked) > 0 || len(w.s.inbox) > 0 || w.closing {
		return
	}
	w.tally.Rests++
	for _, r := range w.all {
		r.known = r.known || r.open
	}
	st, waiting := w.l.machine.Now(), w.s.line.Waiting()
	if st.Open+st.Opening+st.Closing <= w.target {
		w.most = w.target
	}
	switch {
	case w.s.line.Answers() > 0:
		w.breaks("rule 5: %d answers lie in hand while everybody rests", w.s.line.Answers())
	case waiting > 0 && !w.l.shut && st.Idle > 0:
		w.breaks("rule 5: %d wait beside %d idle ones", waiting, st.Idle)
	case waiting > 0 && !st.Paused && st.Failures == 0 && st.Open+st.Opening+st.Closing < st.Limit && st.Opening+st.Repairing == 0:
		w.breaks("rule 8: %d wait, %d of %d places are taken, and nothing is coming", waiting, st.Open+st.Closing, st.Limit)
	}
	if d := w.l.next; d < w.l.now()-time.Nanosecond && d != 0 {
		w.breaks("rule 17: the timer is set to %v, it is %v", d, w.l.now())
	}
	if w.l.next == 0 {
		w.breaks("rule 17: everybody rests, and the timer is not set")
	}
}

// gets is the number of gets that have not returned.
func (w *world) gets() (n int) {
	for _, b := range w.borrowers {
		if b.getting {
			n++
		}
	}
	return n
}

// living lists the resources that take a place.
func (w *world) living() (list string) {
	for _, r := range w.all {
		if r.counted {
			list += fmt.Sprintf("%d (%s for %v, long: %v) ", r.id, r.hook, time.Since(r.since), r.long)
		}
	}
	return list + fmt.Sprintf("%+v", w.l.machine.Now())
}

// atRest checks what holds when nothing is under way and nothing is lent.
func (w *world) atRest() {
	if w.closing {
		return
	}
	st := w.l.machine.Now()
	if w.s.line.Waiting()+w.s.line.Answers() > 0 || st.Leased > 0 {
		w.breaks("rule 5: at rest %d wait, %d answers are on their way, %d are lent", w.s.line.Waiting(), w.s.line.Answers(), st.Leased)
	}
	if st.Open > st.Limit {
		w.breaks("rule 14: at rest %d are open, limit %d", st.Open, st.Limit)
	}
	for _, r := range w.all {
		if r.open && r.hook == "" && r.born < w.resetsReturned && r.kills == 0 {
			w.breaks("rule 3: at rest resource %d is older than a reset", r.id)
		}
	}
}

// afterwards checks what holds when the Supervisor has ended.
func (w *world) afterwards() {
	opened := 0
	for _, r := range w.all {
		if r.id == 0 {
			continue
		}
		opened++
		if ends := r.closes + r.kills; r.open || ends == 0 && !r.taken || ends > 0 && r.taken || ends > 1 && !r.late {
			w.breaks("rule 2: resource %d: closed %d times, killed %d times, taken: %v", r.id, r.closes, r.kills, r.taken)
		}
	}
	st := w.s.Stat()
	if st.Open+st.Leased+st.Idle+st.Dialing+st.Closing+st.Mending+st.Waiting > 0 || int(st.Opened) != opened {
		w.breaks("rule 7: afterwards %d were opened, and Stat is %+v", opened, st)
	}
	if n := w.s.line.Waiting() + w.s.line.Answers() + w.s.line.Idle(); n > 0 {
		w.breaks("rule 7: afterwards %d things lie in the line", n)
	}
}

// The hooks.

// errSim is a failure that the dice chose, simPanic a panic.
var errSim = errors.New("simulated")

type simPanic struct{}

// hook is the life of a hook of r, which has parked: it takes its time, and may hang until
// its context ends. What runs after a wait parks before it touches the world, since the
// goroutine that ended the wait still runs.
func (w *world) hook(ctx context.Context, r *res, name string) error {
	defer func() { r.hook = "" }()
	switch {
	case w.in(4):
		w.note("%s %d hangs", name, r.id)
		r.long = true
		if name == "Prepare" { // its context may have no end
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, 8*time.Second)
			defer cancel()
		}
		<-ctx.Done()
		w.park(name + " has hung")
		return ctx.Err()
	case w.in(15):
		time.Sleep(w.pick(time.Microsecond, time.Millisecond, 50*time.Millisecond, 1200*time.Millisecond))
		w.park(fmt.Sprintf("%s %d ends", name, r.id))
	}
	if w.in(2) {
		w.tally.Panics++
		panic(simPanic{})
	}
	return nil
}

func (w *world) open(ctx context.Context) (*res, error) {
	r := &res{counted: true, hook: "Open", since: time.Now()}
	w.park("Open")
	r.born = w.resetsBegun
	w.all = append(w.all, r)
	failed := true
	defer func() {
		if failed {
			r.counted = false
		}
	}()
	if err := w.hook(ctx, r, "Open"); err != nil {
		return nil, err
	}
	if w.in(20) {
		return nil, errSim
	}
	failed = false
	w.tally.Opened++
	r.id, r.open = w.tally.Opened, true
	return r, nil
}

func (w *world) close(ctx context.Context, r *res) error {
	r.hook, r.since = "Close", time.Now()
	w.park("Close")
	r.closes++
	w.tally.Closed++
	if r.closes > 1 || r.holder != nil || r.taken || r.kills > 0 && !r.late {
		w.breaks("rule 2: resource %d is closed: closed %d times, killed %d times, lent: %v, taken: %v", r.id, r.closes, r.kills, r.holder != nil, r.taken)
	}
	r.open = false
	defer func() { r.counted = false }()
	return w.hook(ctx, r, "Close")
}

func (w *world) kill(r *res) {
	w.park("Kill")
	r.kills++
	w.tally.Killed++
	w.note("Kill %d", r.id)
	grace := 5 * time.Second
	if w.forced {
		grace = 200 * time.Millisecond
	}
	overdue := r.hook != "" || !r.mended.IsZero() && time.Since(r.mended) >= grace // or the hook's report is
	switch {
	case r.kills > 1 || r.closes > 0 && !overdue || r.taken:
		w.breaks("rule 2: resource %d is killed: closed %d times, killed %d times, taken: %v", r.id, r.closes, r.kills, r.taken)
	case overdue:
		r.late = true
	case r.holder == nil && r.puts == 0 && !w.forced && !r.long && !r.revoked && w.gets() == 0: // a get may have its card laid
		w.breaks("rule 13: resource %d is killed, and nobody has it", r.id)
	}
	r.open, r.counted = false, false
}

func (w *world) judge(*res) Verdict {
	w.park("Judge")
	switch {
	case w.in(8):
		return Verdict(1 + w.n(4))
	case w.in(1):
		w.tally.Panics++
		panic(simPanic{})
	}
	return Keep
}

// look may be slow: a helper that looks at rest is overdue then.
func (w *world) look(r *res) Verdict {
	r.hook, r.since, r.mended = "Look", time.Now(), time.Now()
	defer func() { r.hook = "" }()
	return w.judge(r)
}

func (w *world) prepare(ctx context.Context, r *res, _ bool) (Verdict, error) {
	r.hook, r.since = "Prepare", time.Now()
	w.park("Prepare")
	if err := w.hook(ctx, r, "Prepare"); err != nil {
		return Keep, err
	}
	switch {
	case w.in(5):
		return Verdict(w.n(4)), errSim
	case w.in(20):
		return Verdict(1 + w.n(3)), nil
	}
	return Keep, nil
}

func (w *world) mend(name string) func(context.Context, *res) error {
	return func(ctx context.Context, r *res) error {
		r.hook, r.since, r.mended = name, time.Now(), time.Now()
		w.park(name)
		if err := w.hook(ctx, r, name); err != nil {
			return err
		}
		switch {
		case w.in(10):
			return errSim
		case w.in(3):
			return ErrAlarm
		case w.in(2):
			return ErrStale
		}
		return nil
	}
}

// The borrowers and controllers.

// A controller does one thing after the other, each begun by the scheduler.
type controller struct {
	work   chan func()
	busy   bool
	cancel context.CancelFunc
}

func newController() *controller {
	c := &controller{work: make(chan func(), 1)}
	go func() {
		for f := range c.work {
			f()
			c.busy = false
		}
	}()
	return c
}

func (c *controller) do(f func()) {
	c.busy = true
	c.work <- f
}

// A client is a borrower.
type client struct {
	w    *world
	name string
	*controller
	lease   *Lease[*res]
	r       *res
	getting bool
}

// withCancel is context.WithCancel.
func withCancel(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

// A simContext leaves an answer that is there to its get, also if the context has ended:
// else the select would choose at random.
type simContext struct {
	context.Context
	w *world
}

func (c simContext) Done() <-chan struct{} {
	if c.w.s.line.Answers() > 0 {
		return nil
	}
	return c.Context.Done()
}

func (b *client) get(try bool) func() {
	ctx, cancel := withCancel(b.w.Context())
	b.cancel = cancel
	get := b.w.s.Get
	if try {
		get = b.w.s.TryGet
	} else if b.w.n(6) == 0 {
		get = b.w.s.GetNoWait
	}
	return func() {
		w, resets := b.w, b.w.resetsReturned
		b.getting = true
		l, err, panicked := guarded(func() (*Lease[*res], error) { return get(simContext{ctx, w}) })
		w.park("the get returns")
		b.getting = false
		switch {
		case panicked:
			return
		case err == nil:
			b.lent(l, resets)
		case ctx.Err() != nil && errors.Is(err, context.Canceled):
			w.tally.Cancelled++
		case errors.Is(err, ErrClosed):
			if !w.closing {
				w.breaks("rule 7: %s is told that it is closed", b.name)
			}
		default:
			w.tally.Refused++
			for _, is := range []error{ErrUnavailable, ErrExhausted, ErrPaused, ErrTooManyWaiting, ErrTimeout, errSim, context.Canceled, context.DeadlineExceeded} {
				if errors.Is(err, is) {
					return
				}
			}
			w.breaks("%s gets the error %v", b.name, err)
		}
	}
}

// guarded calls f, which may panic as the dice chose.
func guarded[A any](f func() (A, error)) (a A, err error, panicked bool) {
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(simPanic); !ok {
				panic(v)
			}
			panicked = true
		}
	}()
	a, err = f()
	return a, err, false
}

// lent is the moment in which a get has its resource.
func (b *client) lent(l *Lease[*res], resets int) {
	w, r := b.w, l.Value()
	w.tally.Lent++
	b.lease, b.r = l, r
	switch {
	case r.holder != nil:
		w.breaks("rule 2: %s gets resource %d, which %s has", b.name, r.id, r.holder.name)
	case r.closes > 0 || r.taken || r.kills > 0 && l.Revoked() == nil:
		w.breaks("rule 2: %s gets resource %d: closed %d times, killed %d times, taken: %v", b.name, r.id, r.closes, r.kills, r.taken)
	case r.born < resets:
		w.breaks("rule 3: %s gets resource %d, which is older than a reset that returned before the get", b.name, r.id)
	case w.paused && l.Revoked() == nil: // one that was revoked before its get returned is not lent
		w.breaks("rule 15: %s gets resource %d in a pause", b.name, r.id)
	case w.ended && l.Revoked() == nil:
		w.breaks("rule 7: %s gets resource %d after CloseAll", b.name, r.id)
	}
	w.note("%s has %d", b.name, r.id)
	r.holder, r.known, r.long = b, true, r.long && r.kills > 0
	r.lends++
}

// gives is the end of a lease by one of its methods.
func (b *client) gives(name string, end func() error) {
	w, l, r := b.w, b.lease, b.r
	w.note("%s: %s %d", b.name, name, r.id)
	b.lease = nil
	lends, revoked := r.lends, l.Revoked()
	r.holder = nil
	r.puts++
	_, err, panicked := guarded(func() (any, error) { return nil, end() })
	w.park("the " + name + " returns")
	r.revoked = r.revoked || l.Revoked() != nil
	r.puts--
	switch {
	case panicked || w.broken != "":
	case err == nil && revoked != nil:
		w.breaks("rule 13: %s of resource %d, which was revoked, returns no error", name, r.id)
	case err == nil && name == "put" && l.Revoked() != nil && r.lends == lends && w.gets() == 0 && w.s.cfg.carded() && !w.forced && !r.late:
		w.breaks("rule 12: the put of resource %d returns no error, and it was killed", r.id)
	case err != nil && !errors.Is(err, ErrRevoked) && !errors.Is(err, ErrClosed):
		w.breaks("%s of resource %d returns %v", name, r.id, err)
	case errors.Is(err, ErrRevoked) && l.Revoked() == nil:
		w.breaks("rule 13: %s of resource %d says that it was revoked", name, r.id)
	}
	if l.Put() != ErrNotLeased {
		w.breaks("rule 2: a second put of resource %d is accepted", r.id)
	}
}

func (b *client) put()     { b.gives("put", b.lease.Put) }
func (b *client) discard() { b.gives("discard", b.lease.Discard) }

func (b *client) kill() {
	l, r := b.lease, b.r
	r.puts++ // until it is killed
	b.gives("kill", func() error { return l.Kill(ReasonUsed) })
}

func (b *client) take() {
	l, r := b.lease, b.r
	r.counted = false // its place is free before Take returns
	b.gives("take", func() error {
		_, err := l.Take()
		if err == nil {
			b.w.park("taken")
			r.taken, r.open = true, false
			if r.kills > 0 || r.closes > 0 {
				b.w.breaks("rule 13: resource %d is taken, and was killed or closed", r.id)
			}
		}
		return err
	})
}

// act begins something new.
func (w *world) act() {
	switch r := w.n(100); {
	case r < 88:
		w.borrow(w.borrowers[w.n(len(w.borrowers))])
	case r < 98:
		w.govern()
	case !w.closing && w.steps > 100 && w.n(4) == 0:
		w.closeAll()
	}
	w.rest()
}

func (w *world) borrow(b *client) {
	r := w.n(100)
	switch {
	case b.busy && b.getting && r < 8 && b.cancel != nil:
		w.note("%s: cancel", b.name)
		b.cancel()
	case b.busy:
	case b.lease == nil:
		w.note("%s: get", b.name)
		b.do(b.get(r < 12))
	case r < 80:
		b.do(b.put)
	case r < 90:
		b.do(b.discard)
	case r < 95:
		b.do(b.take)
	default:
		b.do(b.kill)
	}
}

func (w *world) resume() {
	w.note("Resume")
	w.paused, w.pausing = false, false
	w.control.do(func() { _ = w.s.Resume() })
}

// govern has the controller do something.
func (w *world) govern() {
	c := w.control
	if c.busy {
		if c.cancel != nil && w.n(10) == 0 {
			c.cancel()
		} else if w.closer.busy && w.n(10) == 0 {
			w.closer.cancel()
		}
		return
	}
	ctx, cancel := withCancel(w.Context())
	c.cancel = cancel
	switch r := w.n(100); {
	case r < 15:
		w.note("Reset")
		w.resetsBegun++
		w.tally.Resets++
		c.do(func() {
			err := w.s.Reset()
			w.park("Reset returns")
			if err == nil {
				w.resetsReturned = w.resetsBegun
			}
		})
	case w.pausing && r < 85:
		w.resume()
	case r < 40 && !w.pausing:
		w.note("Pause")
		w.pausing = true
		c.do(func() {
			err := w.s.Pause(ctx)
			w.park("Pause returns")
			w.note("Pause returns %v", err)
			if err != nil {
				w.pausing = false
				return
			}
			w.paused = true
			w.tally.Pauses++
			for _, r := range w.all {
				if r.held() {
					w.breaks("rule 15: Pause returns while %s has resource %d", r.holder.name, r.id)
				}
			}
		})
	case r < 75 && w.s.cfg.MaxIdle == 0:
		least, most := w.n(2), 1+w.n(5)
		w.note("Resize %d, %d", least, most)
		w.most = max(w.most, most)
		c.do(func() {
			err := w.s.Resize(least, most)
			w.park("Resize returns")
			if err == nil {
				w.target = most
			}
		})
	case r < 85:
		c.do(func() { w.s.Stat() })
	case r < 95:
		c.do(func() { w.s.Leases() })
	default:
		call := w.s.Ready
		switch w.n(3) {
		case 0:
			call = w.s.WaitReady
		case 1:
			call = w.s.CheckIdle
		}
		c.do(func() { _ = call(ctx) })
	}
}

// closeAll has the closer close the Supervisor.
func (w *world) closeAll() {
	w.note("CloseAll")
	ctx, cancel := withCancel(w.Context())
	w.closing = true
	w.closer.cancel = func() { w.note("CloseAll's context ends"); w.forced = true; cancel() }
	if w.n(4) == 0 {
		w.closer.cancel()
	}
	w.closer.do(func() {
		err := w.s.CloseAll(ctx)
		w.park("CloseAll returns")
		w.note("CloseAll returns %v", err)
		w.ended = true
		for _, r := range w.all {
			if r.held() {
				w.breaks("rule 7: CloseAll returns while %s has resource %d", r.holder.name, r.id)
			}
		}
		if err := w.s.CloseAll(ctx); err != ErrClosed {
			w.breaks("rule 7: a second CloseAll returns %v", err)
		}
	})
}
