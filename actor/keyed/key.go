package keyed

import "github.com/pgactor/pgactor/actor"

// CheckKey returns a [*actor.KeyError] if key cannot be a key, as a get would. It compares
// key with itself: for one that is not comparable that panics.
func CheckKey(key any) (err error) {
	if key == nil {
		return &actor.KeyError{Key: key, Reason: "is nil"}
	}
	defer func() {
		if recover() != nil {
			err = &actor.KeyError{Key: key, Reason: "not comparable"}
		}
	}()
	if key != key {
		return &actor.KeyError{Key: key, Reason: "not equal to itself"}
	}
	return nil
}
