package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/tokens"
)

func newTokenList() *cobra.Command {
	var store tokenStore
	var all, asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List tokens: owner, scopes, expiry, last use; never secrets",
		Long: `List the tokens that can be used: owner, scopes, expiry and last use, which a proxy
notes about once a minute. Secrets are not listed: nobody has them but their
owners. With --all also those that have expired or were revoked, for 90 days.`,
		Example: examplesText(`
			rpipe token list
			rpipe token list --all --json | jq -r '.[] | select(.last_used == null) | .id'`),
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := store.open()
			if err != nil {
				return err
			}
			list, err := s.List()
			if err != nil {
				return untold(pipeline.ExitEnvironment, err)
			}
			shown := []listedToken{}
			for _, t := range list {
				if state := t.State(time.Now()); all || state == "active" {
					shown = append(shown, listedToken{t, state})
				}
			}
			if asJSON {
				return unprinted(printJSON(shown))
			}
			if len(shown) == 0 {
				fmt.Fprintf(os.Stderr, "no token can be used in %s\n", s.Path())
				return nil
			}
			return unprinted(printTokens(shown))
		},
	}
	store.flag(c)
	c.Flags().BoolVar(&all, "all", false, "also those that have expired or were revoked")
	c.Flags().BoolVar(&asJSON, "json", false, "print them as JSON")
	return c
}

type listedToken struct {
	tokens.Token
	State string `json:"state"`
}

func printTokens(list []listedToken) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tOWNER\tSCOPES\tSTATE\tEXPIRES\tLAST USED")
	for _, t := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n",
			t.ID, t.Owner, scopesText(t.Scopes), t.State, timeText(t.Expires), timeText(t.LastUsed))
	}
	return w.Flush()
}

func newTokenRevoke() *cobra.Command {
	var store tokenStore
	c := &cobra.Command{
		Use:   "revoke ID...",
		Short: "Make tokens unusable, for ever",
		Long: `Make tokens unusable, for ever, within a second also for servers that run. A token
is named by its id, or by its secret where that is all one has: a secret that was
found where it should not be is best revoked at once.`,
		Example: examplesText(`rpipe token revoke k3v9x2ma`),
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			s, err := store.open()
			if err != nil {
				return err
			}
			for _, name := range names {
				t, err := s.Revoke(name)
				if errors.Is(err, tokens.ErrUnknown) {
					return untold(pipeline.ExitFailed, err)
				}
				if err != nil {
					return untold(pipeline.ExitEnvironment, err)
				}
				fmt.Fprintf(os.Stderr, "token %s of %s is revoked\n", t.ID, t.Owner)
			}
			return nil
		},
	}
	store.flag(c)
	return c
}
