package plumber

import "fmt"

// Router is R code that finds the router of c as Environment does, but serves
// nothing: its value is list(router, asked, dir, …). It is to run in the directory
// that c.Root says.
func Router(c *Config) string {
	_, name := c.split()
	return fmt.Sprintf("local({\n%s\nfind_router(%s)\n})\n", routerR, rString(name))
}
