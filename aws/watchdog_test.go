package aws

import (
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// The time of a task is told to a container whose end is the task's: an essential one, as every container is that says nothing.
func TestTheWatchdogIsOfAnEssentialContainer(t *testing.T) {
	t.Parallel()
	obeys := []types.KeyValuePair{{Name: sdk.String(TTLVariable)}}
	for name, test := range map[string]struct {
		first types.ContainerDefinition
		want  string // empty: nobody
	}{
		"says nothing":         {types.ContainerDefinition{Environment: obeys}, "first"},
		"essential":            {types.ContainerDefinition{Environment: obeys, Essential: sdk.Bool(true)}, "first"},
		"a helper":             {types.ContainerDefinition{Environment: obeys, Essential: sdk.Bool(false)}, ""},
		"a shell":              {types.ContainerDefinition{Command: []string{"sh", "-c", "x"}}, "first"},
		"a shell of a helper":  {types.ContainerDefinition{Command: []string{"sh", "-c", "x"}, Essential: sdk.Bool(false)}, ""},
		"nothing to be taught": {types.ContainerDefinition{Command: []string{"squid"}}, ""},
	} {
		test.first.Name = sdk.String("first")
		d := &types.TaskDefinition{ContainerDefinitions: []types.ContainerDefinition{test.first, {Name: sdk.String("second")}}}
		got := watchdog(d, 90*time.Second)
		switch {
		case got == nil && test.want != "":
			t.Errorf("%s: nobody is told, want %s", name, test.want)
		case got == nil:
		case sdk.ToString(got.Name) != test.want:
			t.Errorf("%s: %s is told, want %q", name, sdk.ToString(got.Name), test.want)
		case len(got.Environment) != 1 || sdk.ToString(got.Environment[0].Name) != TTLVariable || sdk.ToString(got.Environment[0].Value) != "90":
			t.Errorf("%s: told %v, want 90 seconds", name, got.Environment)
		}
	}
}
