package actor

// The shelf is two channels, its top and what lies below. None of these blocks, and
// anybody may call them: what is taken is the caller's, what is laid there no longer.

// roomBelow is that of the shelf below its top. With MaxIdle a shelf that is full sends
// what is put to the desk.
func (c *Config[R]) roomBelow() int {
	if c.MaxIdle > 0 {
		return min(c.MaxIdle, shelfMost)
	}
	return min(max(c.MaxOpen, shelfLeast), shelfMost)
}

// roomOnTop is for one, or none. A put lays its slot there if it is free, a get
// looks there first: so few borrowers use few resources, which stay warm in the caches
// of the processor and the server, and the others rest. MaxIdle is exact, and does
// without.
func (c *Config[R]) roomOnTop() int {
	if c.MaxIdle > 0 {
		return 0
	}
	return 1
}

// offShelf takes a slot for a borrower, nil if there is none.
func (s *Supervisor[R]) offShelf() *slot[R] {
	if sl := s.takeTop(); sl != nil {
		return sl
	}
	return s.takeBelow()
}

// take takes one for the desk: the top last, since borrowers lay there what they use
// again and again.
func (d *desk[R]) take() *slot[R] {
	if sl := d.takeBelow(); sl != nil {
		return sl
	}
	return d.takeTop()
}

// ontoShelf lays a borrower's slot there; false if there is no room.
func (s *Supervisor[R]) ontoShelf(sl *slot[R]) bool { return lay(s.top, sl) || s.offer(sl) }

// offer lays a slot below the top; false if there is no room.
func (s *Supervisor[R]) offer(sl *slot[R]) bool { return lay(s.idle, sl) }

func (s *Supervisor[R]) takeTop() *slot[R]   { return take(s.top) }
func (s *Supervisor[R]) takeBelow() *slot[R] { return take(s.idle) }

// take receives what is in c, nil if there is nothing.
func take[T any](c <-chan *T) *T {
	select {
	case v := <-c:
		return v
	default:
		return nil
	}
}

// lay sends v, unless there is no room.
func lay[T any](c chan<- *T, v *T) bool {
	select {
	case c <- v:
		return true
	default:
		return false
	}
}

// shelved counts what lies there: a hint. Below first: the desk moves slots down from
// the top, and one must not be counted twice.
func (s *Supervisor[R]) shelved() int {
	below := len(s.idle)
	return below + len(s.top)
}
