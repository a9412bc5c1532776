package audit

import "time"

// Identity is an identity in an identity pool: one for each subject of an
// issuer. It grants nothing by itself.
type Identity struct {
	ID       string    `json:"id"`
	Pool     string    `json:"identity_pool"`
	Provider string    `json:"provider"` // its name
	Issuer   string    `json:"issuer"`   // the iss
	Subject  string    `json:"subject"`
	Created  time.Time `json:"created"`   // kept to the millisecond
	LastSeen time.Time `json:"last_seen"` // within an hour
}
