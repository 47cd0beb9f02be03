package actor

// filled answers those who wait for the first fill.
func (m *machine[R]) filled() {
	if m.filling && m.open >= m.cfg.MinOpen {
		m.endFill(nil)
	}
	if m.filling || len(m.ready) == 0 {
		return
	}
	for _, t := range m.ready {
		t.wait.queued = false
		m.fx.answer(t, answer[R]{err: m.fillErr})
	}
	m.ready = nil
}

// endFill ends the first fill; an error gives it up, and later gets open what
// they need.
func (m *machine[R]) endFill(err error) {
	if m.filling {
		m.filling = false
		if err != nil {
			m.fillErr = unavailable(err)
		}
	}
}
