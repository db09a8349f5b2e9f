package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/tokens"
)

func newTokenCreate() *cobra.Command {
	var store tokenStore
	var owner, expires string
	var names []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "create --owner NAME --scope SCOPE",
		Short: "Make a token and print its secret, once",
		Long: `Make a token and print its secret on stdout, alone on a line. It is shown this
once: what the store keeps cannot be turned back into it. What else there is to
know goes to stderr.

Scopes: proxy (ask APIs that want a token), read (see status and metrics), admin
(all of /__rpipe__/; read is in it), submit (tasks). Give what the owner needs.`,
		Example: examplesText(`
			rpipe token create --owner dashboard --scope proxy
			rpipe token create --owner ana --scope proxy,read --expires 7d
			TOKEN=$(rpipe token create --owner prometheus --scope read --expires none)`),
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			scopes, err := tokens.ParseScopes(names...)
			if err != nil {
				return fmt.Errorf("--scope: %w", err)
			}
			ttl, err := parseExpires(expires)
			if err != nil {
				return err
			}
			s, err := store.open()
			if err != nil {
				return err
			}
			secret, t, err := s.Create(owner, scopes, ttl)
			if errors.Is(err, tokens.ErrInvalid) {
				return untold(pipeline.ExitConfig, err)
			}
			if err != nil {
				return untold(pipeline.ExitEnvironment, err)
			}
			if asJSON {
				return unprinted(printJSON(struct {
					Secret string `json:"secret"`
					tokens.Token
				}{secret, t}))
			}
			if _, err := fmt.Println(secret); err != nil {
				return unprinted(err)
			}
			fmt.Fprintf(os.Stderr, "token %s of %s for %s, %s, in %s; its secret is not shown again\n",
				t.ID, t.Owner, scopesText(t.Scopes), expiryText(t.Expires), s.Path())
			return nil
		},
	}
	store.flag(c)
	c.Flags().StringVar(&owner, "owner", "", "who will use it, a person or a program: access logs name it (required)")
	c.Flags().StringSliceVar(&names, "scope", nil, "what it is good for: proxy, read, admin or submit, or several with commas (required)")
	c.Flags().StringVar(&expires, "expires", "90d", "how long it is good: 12h, 90d, or none")
	c.Flags().BoolVar(&asJSON, "json", false, "print the secret and all else as JSON")
	c.MarkFlagRequired("owner")
	c.MarkFlagRequired("scope")
	return c
}

// parseExpires reads how long a token is good; 0 is for ever.
func parseExpires(text string) (time.Duration, error) {
	if text == "none" {
		return 0, nil
	}
	d, err := configs.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("--expires %q %w: such as 12h, 90d or none", text, err)
	}
	if d < configs.Duration(time.Second) {
		return 0, fmt.Errorf("--expires %s: the token would be of no use; none is for ever", text)
	}
	return time.Duration(d), nil
}

func scopesText(scopes []tokens.Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ",")
}

func expiryText(at time.Time) string {
	if at.IsZero() {
		return "good for ever"
	}
	return "good until " + timeText(at)
}

// timeText is a time as rpipe state shows it, "-" for none.
func timeText(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format("2006-01-02 15:04 UTC")
}
