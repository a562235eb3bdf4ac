// The stand-in provider: a plugin that knows the schema of hashicorp/aws and nothing else.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
)

func main() {
	schema, err := load()
	if err != nil {
		fmt.Fprintln(os.Stderr, "read schema.json:", err)
		os.Exit(1)
	}
	err = tf6server.Serve("registry.opentofu.org/hashicorp/aws", func() tfprotov6.ProviderServer { return &provider{schema: schema} })
	if err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}
