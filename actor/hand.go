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

// turn moves the slot pushed last to the front.
func (h *hand[R]) turn() {
	slots := h.slots[h.head:]
	last := slots[len(slots)-1]
	copy(slots[1:], slots)
	slots[0] = last
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
