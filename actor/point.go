package actor

// A point is a place in a borrower's protocol where others may come between.
// Tests hold a goroutine there to make one schedule happen.
type point uint8

const (
	beforeTake   point = iota // the gate was seen open
	afterTake                 // a slot came off the shelf, its recall not yet seen
	beforePush                // the gate was seen open
	afterPush                 // the slot lies on the shelf
	beforeCancel              // the context has ended, the desk does not know
)

func (s *Supervisor[R]) at(p point) {
	if s.cfg.hold != nil {
		s.cfg.hold(p)
	}
}
