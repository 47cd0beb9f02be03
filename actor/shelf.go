package actor

// The shelf is two channels, its top and what lies below. None of these blocks, and
// anybody may call them: what is taken is the caller's, what is laid there no longer.

// shelf is the size of the shelf. With MaxIdle one that is full sends what is put
// to the desk.
func (c *Config[R]) shelf() int {
	if c.MaxIdle > 0 {
		return min(c.MaxIdle, shelfMost)
	}
	return min(max(c.MaxOpen, shelfLeast), shelfMost)
}

// top is the room on top of the shelf. A put lays its slot there if it is free, a get
// looks there first: so few borrowers use few resources, which stay warm in the caches
// of the processor and the server, and the others rest. MaxIdle is exact, and does
// without.
func (c *Config[R]) top() int {
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

// ontoShelf lays a borrower's slot there; false if there is no room.
func (s *Supervisor[R]) ontoShelf(sl *slot[R]) bool {
	select {
	case s.top <- sl:
		return true
	default:
		return s.offer(sl)
	}
}

func (s *Supervisor[R]) takeTop() *slot[R] {
	select {
	case sl := <-s.top:
		return sl
	default:
		return nil
	}
}

func (s *Supervisor[R]) takeBelow() *slot[R] {
	select {
	case sl := <-s.idle:
		return sl
	default:
		return nil
	}
}

// offer lays a slot below the top; false if there is no room.
func (s *Supervisor[R]) offer(sl *slot[R]) bool {
	select {
	case s.idle <- sl:
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
