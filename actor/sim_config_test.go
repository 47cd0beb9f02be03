package actor

import (
	"context"
	"time"
)

// simConfig is the climate of one episode: what the pool may do, how its
// borrowers behave, and how the world fails.
type simConfig struct {
	pool      Config[*simThing]
	shelfSize int // smaller than MaxOpen where a pool has more than shelfSize
	borrowers int
	keys      int

	// Of a hundred cases.
	keyed, hasty, binds  int // requests; keyed ones that have Bind called
	awaitsFill, pauses   int // calls of Ready and Pause among them
	takeaways, overstays int // borrowers that keep what they have; whose turn under a key never ends
	discards, impatient  int // borrowers that discard; whose context ends early
	unfit                int // verdicts other than Keep
	dialFails, permanent int
	otherFails           int // cleans, checks, closes
	hangs                int // jobs that ignore their context
	freezes              int // borrowers preempted for long, at a step

	// Of ten thousand steps.
	resetting, resizing, resuming, questions, closes, leap int

	deskShare int           // of a hundred steps, those of the supervisor
	bustle    int           // most steps of others between two of the supervisor
	batch     int           // most messages between two settles
	tick      time.Duration // most that the clock moves in a step
	slow      time.Duration // most that a job takes

	// pure has nothing that could excuse an Open too many.
	pure bool
}

func newSimConfig(d *simDice) simConfig {
	c := simConfig{
		borrowers: d.between(1, 12),
		keys:      d.between(1, 3),
		deskShare: d.between(5, 60),
		bustle:    d.between(0, 6),
		batch:     d.pickInt(2, 4, 16),
		tick:      d.pick(time.Microsecond, 20*time.Microsecond, 300*time.Microsecond),
		slow:      d.pick(200*time.Microsecond, 3*time.Millisecond, 60*time.Millisecond),
	}
	c.pool = simPool(d, c.tick)
	c.shelfSize = c.pool.roomBelow()
	if c.pool.MaxIdle == 0 {
		c.shelfSize = c.pool.MaxOpen
		if d.in(15) {
			c.shelfSize = d.between(1, c.pool.MaxOpen)
		}
	}
	if d.in(15) {
		c.pauses, c.resuming = d.between(1, 20), d.between(20, 500)
	}
	if d.in(50) {
		c.keyed, c.binds = d.pick20(), d.n(2)*d.pick20()
	}
	if d.in(40) {
		c.hasty = d.pick20()
	}
	c.impatient = d.n(3) * d.n(30)
	c.freezes = d.n(2) * d.n(8)
	c.questions = d.n(200)
	if d.in(20) {
		c.calm()
		return c
	}
	c.rough(d)
	return c
}

// pick20 is a share that is rare, common, or everybody's.
func (d *simDice) pick20() int { return []int{5, 20, 50, 100}[d.n(4)] }

func simPool(d *simDice, tick time.Duration) Config[*simThing] {
	verdict := func(*simThing) Verdict { panic("the machine asked for a verdict") }
	mend := func(context.Context, *simThing) error { panic("the machine mended") }
	p := Config[*simThing]{
		MaxOpen:      d.between(1, 6),
		MaxDials:     d.pickInt(0, 0, 1, 2, 3),
		LookAfter:    d.pick(0, 10*time.Microsecond, 20*time.Millisecond),
		OpenTimeout:  d.pick(0, 5*time.Millisecond, 400*time.Millisecond, 3*time.Second),
		CleanTimeout: d.pick(0, 5*time.Millisecond, 2*time.Second),
		CloseGrace:   d.pick(0, time.Millisecond, 2*time.Second),
		BackoffMin:   d.pick(0, time.Millisecond),
		Kill:         func(*simThing) { panic("the machine killed") },
	}
	if d.in(50) {
		p.OnEvent = func(Event) { panic("the machine told") }
	}
	simLimits(d, &p)
	simRests(d, &p, tick)
	if d.in(40) {
		p.Outage = WaitForServer
	}
	if d.in(70) {
		p.Judge = verdict
	}
	if d.in(70) {
		p.Look = verdict
	}
	if d.in(80) {
		p.Clean = mend
	}
	if d.in(80) {
		p.Check = mend
	}
	if d.in(30) {
		p.Prepare = func(context.Context, *simThing, bool) (Verdict, error) { panic("the machine prepared") }
	}
	return p.withDefaults()
}

// simLimits says how many there may be, and for how long one waits.
func simLimits(d *simDice, p *Config[*simThing]) {
	if d.in(30) {
		p.MinOpen = d.between(0, p.MaxOpen)
	}
	if d.in(30) {
		p.MinIdle = d.between(0, p.MaxOpen)
	}
	if d.in(25) {
		p.MaxIdle = d.between(max(1, p.MinOpen, p.MinIdle), p.MaxOpen)
	}
	if d.in(25) {
		p.MaxWaiting = d.between(1, 4)
	}
	if d.in(25) {
		p.GetTimeout = d.pick(500*time.Microsecond, 20*time.Millisecond, time.Second)
	}
}

// simRests says for how long one is kept. A tick is time that a step may take:
// what lives for a few steps only is lent to nobody,
// and a desk that has to look up in every one never rests.
func simRests(d *simDice, p *Config[*simThing], tick time.Duration) {
	if d.in(20) {
		p.MaxAge = max(2*time.Millisecond, 200*tick) * d.pick(1, 5, 50)
		p.AgeJitter = d.pick(0, 1, p.MaxAge)
	}
	if d.in(20) {
		p.MaxLease = max(time.Millisecond, 100*tick) * d.pick(1, 5, 50)
	}
	p.Track = d.in(20)
	if d.in(30) {
		p.MaxRest = d.pick(50*time.Microsecond, 3*time.Millisecond, 200*time.Millisecond)
	}
	p.KeepAlive = d.in(25)
	p.CheckPeriod = max(20*tick, d.pick(100*time.Microsecond, 2*time.Millisecond, 50*time.Millisecond, time.Minute))
}

func (d *simDice) pickInt(of ...int) int { return of[d.n(len(of))] }

// calm is a world in which the number of Opens is bounded by the borrowers.
func (c *simConfig) calm() {
	c.pure = true
	p := &c.pool
	if p.Judge == nil {
		c.binds = 0 // what nobody takes then would be closed
	}
	p.MinOpen, p.MinIdle, p.MaxAge, p.MaxRest, p.KeepAlive, p.Look, p.Prepare = 0, 0, 0, 0, false, nil, nil
	p.Track, p.MaxLease = p.watched(), 0
	if p.MaxIdle > 0 {
		p.MaxIdle, c.shelfSize = 0, p.MaxOpen
	}
	c.pool.OpenTimeout, c.pool.CleanTimeout, c.pool.CloseGrace = time.Minute, time.Minute, time.Second
	c.tick = min(c.tick, 20*time.Microsecond)
}

// rough is a world in which things fail.
func (c *simConfig) rough(d *simDice) {
	c.leap = d.n(100)
	c.awaitsFill = d.n(2) * 3
	c.discards = d.n(2) * d.n(30)
	c.unfit = d.n(2) * d.n(60)
	c.otherFails = d.n(2) * d.n(60)
	if d.in(60) {
		c.dialFails = d.pick20()
		c.permanent = d.n(2) * d.n(40)
	}
	if d.in(40) {
		c.hangs = d.pickInt(2, 10, 30)
	}
	if d.in(60) {
		c.resetting = d.n(150)
	}
	if d.in(35) {
		c.resizing = d.n(200)
	}
	if d.in(25) {
		c.takeaways = d.between(1, 20)
	}
	if d.in(25) {
		c.overstays = d.between(1, 20)
	}
	if d.in(30) {
		c.closes = d.n(50)
	}
	if d.in(10) {
		c.storm(d)
	}
}

// storm is a rough world whose owner cannot leave it alone, for what takes two of
// his calls at the wrong moment. Others do so much between two steps of the desk that
// rounds must not come as often, or it never rests.
func (c *simConfig) storm(d *simDice) {
	c.resetting, c.resizing, c.resuming = d.between(50, 300), d.between(100, 500), d.between(100, 500)
	c.pauses, c.bustle = d.n(2)*d.between(5, 20), d.between(4, 12)
	c.hangs, c.slow = max(c.hangs, d.n(2)*10), d.pick(c.slow, 1500*time.Millisecond)
	c.pool.CheckPeriod = max(c.pool.CheckPeriod, time.Duration(10*c.bustle)*c.tick)
}
