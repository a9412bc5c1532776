package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stint-dev/stint/internal/audit"
	"github.com/stint-dev/stint/internal/store"
)

func newIdentitiesCommand(e *Env) *cobra.Command {
	var f auditFlags
	var q store.IdentityQuery
	var asJSON bool
	c := &cobra.Command{
		Use:   "identities",
		Short: "List the identities of identity pools",
		Long: `List who has which identity in an identity pool, from the store that --config
or --store names: one for each issuer and subject that asked. The ids are derived
from the pool, the issuer and the subject, so that every replica gives the same.
An identity grants nothing by itself.

  stint identities --config stint.yaml
  stint identities --pool eu-central-1:0b5f7a1e-3c1d-4c52-9f0e-1a2b3c4d5e6f --subject 'repo:octo-org/*'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := f.open(c.Context(), e)
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
			table := tabwriter.NewWriter(e.Stdout, 0, 8, 2, ' ', 0)
			most, shown := q.Limit, 0
			for {
				page := q
				page.Limit = 0
				if most > 0 {
					page.Limit = most - shown
				}
				found, err := r.Identities(c.Context(), page)
				if err != nil {
					return err
				}
				for _, i := range found {
					if err := printIdentity(e, table, i, asJSON, shown == 0); err != nil {
						return err
					}
					shown++
				}
				if len(found) == 0 || most > 0 && shown >= most {
					break
				}
				q.After = found[len(found)-1]
			}
			return table.Flush()
		},
	}
	fl := c.Flags()
	fl.StringVarP(&f.config, "config", "c", defaultConfig, "the configuration `file` that names the store")
	fl.StringVar(&f.store, "store", "", "read the store with this `url`, such as sqlite:stint.db (default $STINT_STORE, else the configuration's)")
	fl.StringVar(&q.Pool, "pool", "", "only those of this identity pool's `id`")
	fl.StringVar(&q.Subject, "subject", "", "only those of subjects that match this `pattern`; * stands for any text")
	fl.IntVarP(&q.Limit, "limit", "n", 0, "at most so `many`; 0: all")
	fl.BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

func printIdentity(e *Env, table *tabwriter.Writer, i audit.Identity, asJSON, first bool) error {
	if asJSON {
		return json.NewEncoder(e.Stdout).Encode(i)
	}
	if first {
		fmt.Fprintln(table, "IDENTITY\tLAST SEEN\tPROVIDER\tSUBJECT")
	}
	_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", i.ID, i.LastSeen.Format(time.RFC3339), printable(i.Provider), printable(i.Subject))
	return err
}
