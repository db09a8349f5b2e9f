package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/pipeline/view"
	"github.com/rpipe-dev/rpipe/tokens"
)

func newToken() *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke the tokens that let clients in",
		Long: `Make, list and revoke the tokens that let clients in: to routes of rpipe proxy that
want one, and to its status page from elsewhere. A running proxy sees a change
within a second.

The store is a file, which admin.tokens in proxy.yaml names. The command and the
proxy take the same file where nothing is said: RPIPE_TOKENS, or rpipe/tokens.json
in the user's configuration directory. It holds no secret, only what tells one.

Exit status: 0 done; 1 there is no such token; 2 a flag is wrong; 3 the store
cannot be read or written.`,
		Example: examplesText(`
			rpipe token create --owner dashboard --scope proxy
			rpipe token create --owner prometheus --scope read --expires none
			rpipe token list
			rpipe token revoke k3v9x2ma`),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTokenCreate(), newTokenList(), newTokenRevoke())
	return c
}

// tokenStore is the flag --store.
type tokenStore string

func (s *tokenStore) flag(c *cobra.Command) {
	c.Flags().StringVar((*string)(s), "store", "", "the token store: a file, or a directory with tokens.json in it (default: $RPIPE_TOKENS, or rpipe/tokens.json in the user's configuration directory)")
}

// open is the store. What is wrong with it has been told.
func (s tokenStore) open() (*tokens.Store, error) {
	path, err := string(s), error(nil)
	if path == "" {
		path, err = tokens.DefaultPath()
	}
	if err != nil {
		return nil, untold(pipeline.ExitEnvironment, err)
	}
	store, err := tokens.Open(path)
	if err != nil {
		return nil, untold(pipeline.ExitEnvironment, err)
	}
	return store, nil
}

// untold tells an error, and is its exit status.
func untold(code int, err error) error {
	fmt.Fprintf(os.Stderr, "rpipe: %s\n", view.Message(err))
	return exitCode(code)
}
