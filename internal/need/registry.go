package need

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"time"
)

// registry is where a judge of Terraform modules gets providers from.
type registry struct {
	host string // in the names of providers
	base string // where it is asked; https://HOST, elsewhere only in tests
}

// registryPatience is how long a registry may take to answer before it counts as out of reach.
const registryPatience = 4 * time.Second

// serves reports whether the registry has hashicorp/aws, and why not. It takes registryPatience at the most.
func (r registry) serves(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}
	defer client.CloseIdleConnections()
	ask := func(address string, answer any) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", address, response.Status)
		}
		if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
			return fmt.Errorf("%s does not answer as a registry: %w", address, err)
		}
		return nil
	}
	var services struct {
		Providers string `json:"providers.v1"`
	}
	if err := ask(r.base+"/.well-known/terraform.json", &services); err != nil {
		return err
	}
	base, err := url.Parse(r.base + "/")
	if err != nil {
		return err
	}
	providers, err := base.Parse(services.Providers)
	if err != nil {
		return err
	}
	var known struct {
		Versions []struct {
			Platforms []struct{ OS, Arch string } `json:"platforms"`
		} `json:"versions"`
	}
	if err := ask(providers.JoinPath("hashicorp", "aws", "versions").String(), &known); err != nil {
		return err
	}
	for _, version := range known.Versions {
		for _, platform := range version.Platforms {
			if platform.OS == runtime.GOOS && platform.Arch == runtime.GOARCH {
				return nil
			}
		}
	}
	return fmt.Errorf("%s has no hashicorp/aws for %s/%s", r.host, runtime.GOOS, runtime.GOARCH)
}

// asked are the answers of registries, one for each as long as the process lives: tests of a run have the same provider.
var asked sync.Map // registry → func() error

// reached is serves, asked once.
func (r registry) reached(ctx context.Context) error {
	once, _ := asked.LoadOrStore(r, sync.OnceValue(func() error { return r.serves(ctx) }))
	return once.(func() error)() // nothing else is stored
}

// settings is the part of a judge's configuration that lets it ask the registry for providers, and keep them in a directory.
func (r registry) settings(cache string) string {
	text := fmt.Sprintf("plugin_cache_dir = %q\nplugin_cache_may_break_dependency_lock_file = true\nprovider_installation {\n  direct {}\n}\n", cache)
	if r.base != "https://"+r.host {
		text += fmt.Sprintf("host %q {\n  services = { \"providers.v1\" = %q }\n}\n", r.host, r.base+"/v1/providers/")
	}
	return text
}
