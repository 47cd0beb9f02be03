package actor

// hand holds idle slots, first in, first out.
type hand[R any] struct {
	slots []*slot[R]
	head  int
}

func (h *hand[R]) len() int { return len(h.slots) - h.head }

func (h *hand[R]) push(sl *slot[R]) {
	if h.head > len(h.slots)/2 {
		n := copy(h.slots, h.slots[h.head:])
		clear(h.slots[n:])
		h.slots, h.head = h.slots[:n], 0
	}
	h.slots = append(h.slots, sl)
}

// takeFor takes the slot that was made fit for t last, wherever it is.
func (h *hand[R]) takeFor(t *ticket[R]) *slot[R] {
	slots := h.slots[h.head:]
	for i := len(slots) - 1; i >= 0; i-- {
		if sl := slots[i]; sl.desk.mended == t || sl.desk.vetted != nil && sl.desk.vetted == t.wait.key {
			copy(slots[1:], slots[:i])
			slots[0] = sl
			return h.pop()
		}
	}
	return nil
}

func (h *hand[R]) pop() *slot[R] {
	if h.len() == 0 {
		return nil
	}
	sl := h.slots[h.head]
	h.slots[h.head] = nil
	if h.head++; h.head == len(h.slots) {
		h.slots, h.head = h.slots[:0], 0
	}
	return sl
}
