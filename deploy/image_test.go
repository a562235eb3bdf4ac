package deploy_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"culvert/ui/ci"
)

// instructions are those of a Dockerfile, without comments.
func instructions(t *testing.T, file string) (all []string) {
	t.Helper()
	for line := range strings.Lines(read(t, file)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

type image struct {
	Dockerfile        string
	IDs, Images, Tags []string
}

// The image of the relay has one program, at the path that command and health check of the module and the template name, and may
// be run by nobody without a file to read or to write.
func TestTheImageOfTheRelayHasNothingElse(t *testing.T) {
	t.Chdir("..")
	got := strings.Join(instructions(t, "deploy/image/relay.Dockerfile"), "\n")
	const want = "FROM scratch\nARG TARGETPLATFORM\nCOPY $TARGETPLATFORM/culvert-relay /usr/bin/culvert\nUSER 65534:65534\nENTRYPOINT [\"/usr/bin/culvert\"]"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, file := range []string{"deploy/image/relay.Dockerfile", "deploy/image/Dockerfile", "deploy/terraform/task.tf", "deploy/cloudformation/culvert.yaml"} {
		if !strings.Contains(read(t, file), "/usr/bin/culvert") {
			t.Errorf("%s has the program elsewhere", file)
		}
	}
}

// A pipeline's image has what its scripts need, and leaves the runner's shell alone; it is released under the name that culvert ci
// writes.
func TestTheImageForPipelinesIsWhatTheyWant(t *testing.T) {
	t.Chdir("..")
	all := instructions(t, "deploy/image/shell.Dockerfile")
	for _, line := range all {
		if word, _, _ := strings.Cut(line, " "); slices.Contains([]string{"ENTRYPOINT", "USER", "WORKDIR", "VOLUME"}, word) {
			t.Errorf("%s would be in the way of a runner", line)
		}
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{"COPY $TARGETPLATFORM/culvert /usr/bin/culvert", `CMD ["/bin/sh"]`, " bash", " ca-certificates", " curl", " git"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	plain := strings.Join(instructions(t, "deploy/image/Dockerfile"), "\n")
	if !strings.Contains(plain, "distroless") || !strings.Contains(plain, "ENTRYPOINT") {
		t.Errorf("the other image is not what it was:\n%s", plain)
	}

	var release struct {
		Images []image `yaml:"dockers_v2"`
	}
	if err := yaml.Unmarshal([]byte(read(t, ".goreleaser.yaml")), &release); err != nil {
		t.Fatal(err)
	}
	file, err := ci.Snippet("gitlab", ci.Job{Repository: "Acme/culvert", Version: "1.2.3", Command: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	relayed := slices.IndexFunc(release.Images, func(i image) bool { return i.Dockerfile == "deploy/image/relay.Dockerfile" })
	if relayed < 0 || !slices.Equal(release.Images[relayed].IDs, []string{"relay"}) || !slices.Equal(release.Images[relayed].Tags, []string{"{{ .Version }}-relay"}) {
		t.Errorf("the release has no image of the relay alone: %+v", release.Images)
	}
	named := regexp.MustCompile(`image: (\S+)`).FindStringSubmatch(file)
	var released []string
	for _, image := range release.Images {
		if image.Dockerfile != "deploy/image/shell.Dockerfile" {
			continue
		}
		for _, tag := range image.Tags {
			name := strings.NewReplacer("{{ tolower .Env.ORIGIN_OWNER }}", "acme", "{{ tolower .Env.ORIGIN_NAME }}", "culvert").Replace(image.Images[0])
			released = append(released, name+":"+strings.ReplaceAll(tag, "{{ .Version }}", "1.2.3"))
		}
	}
	if len(named) < 2 || !slices.Contains(released, named[1]) {
		t.Errorf("culvert ci names %v, the release has %v", named, released)
	}
}
