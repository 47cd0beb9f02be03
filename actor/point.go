package actor

// A point is a place, beside the steps of package line, at which others may come
// between. Tests hold a goroutine there to make one order of events happen.
type point uint8

const (
	beforeSettle      point = iota // the supervisor begins a turn
	beforeWait                     // the supervisor waits for a message
	beforeHandling                 // the supervisor has a message, and has not read the clock yet
	beforeRecall                   // the supervisor recalls a slot
	beforeRevoke                   // the supervisor revokes a lease
	beforeTakingCard               // the supervisor takes a card to read it
	beforePuttingCard              // the supervisor puts the card back
	beforeLook                     // a get has a slot and has not looked at its recall
	beforeSecondLook               // a put has given its slot away and has not looked at its recall
	beforeLayingCard               // a get begins a lease that has a card
	beforeLiftingCard              // a put ends a lease that has a card
	beforeSend                     // a message is about to be sent
)

// at calls the hook of the tests, if there is one.
func (s *Supervisor[R]) at(p point) {
	if s.cfg.point != nil {
		s.cfg.point(p)
	}
}
