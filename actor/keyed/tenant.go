package keyed

import (
	"errors"
	"fmt"

	"github.com/pgactor/pgactor/actor"
)

// ErrOtherTenant is the answer to a get or a put of a key whose resource is bound for
// another tenant. The error is a [*TenantError].
var ErrOtherTenant = errors.New("in use for another tenant")

// A TenantError refuses a key whose resource is bound for another tenant, or is being
// fetched for one. It is ErrOtherTenant. It names neither tenant.
type TenantError struct {
	Key any // as Config.ShowKey has it
}

// Error names the key.
func (e *TenantError) Error() string {
	return fmt.Sprintf("key %v: %v", actor.ShownKey(e.Key), ErrOtherTenant)
}

// Unwrap gives errors.Is ErrOtherTenant.
func (e *TenantError) Unwrap() error { return ErrOtherTenant }

// checkTenant returns a *KeyError if tenants could not be told apart. None is nil.
func checkTenant(tenant any) error {
	if tenant == nil {
		return nil
	}
	if err := CheckKey(tenant); err != nil {
		return fmt.Errorf("tenant: %w", err)
	}
	return nil
}

// otherTenant is the error of a get or a put for another tenant than that of e.
func (e *entry[R]) otherTenant() error {
	return &TenantError{Key: e.table.config.ShowKey(e.key)}
}
