package emulator

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

func (e *Emulator) listTaskDefinitions(r *request, a *account) (any, error) {
	in, err := decode[struct {
		paging

		FamilyPrefix, Status, Sort string
	}](r)
	if err != nil {
		return nil, err
	}
	// The result is sorted by family and revision number. page sorts strings, so the number is padded.
	keys := map[string]string{}
	for family, revisions := range a.definitions {
		for _, d := range revisions {
			if (in.FamilyPrefix == "" || family == in.FamilyPrefix) && or(in.Status, "ACTIVE") == "ACTIVE" {
				keys[fmt.Sprintf("%s:%010d", family, d.revision)] = d.arn(a)
			}
		}
	}
	part, next, err := e.page("definitions "+in.FamilyPrefix+" "+in.Status, in.paging, 100, slices.Sorted(maps.Keys(keys)))
	for i, key := range part {
		part[i] = keys[key]
	}
	return struct {
		ARNs      []string `json:"taskDefinitionArns"`
		NextToken *string  `json:"nextToken,omitempty"`
	}{part, next}, err
}

func (e *Emulator) describeTaskDefinition(r *request, a *account) (any, error) {
	in, err := decode[struct{ TaskDefinition string }](r)
	if err != nil {
		return nil, err
	}
	d := a.findDefinition(in.TaskDefinition)
	if d == nil {
		return nil, &apiError{Code: "ClientException", Message: "Unable to describe task definition."}
	}
	return struct {
		TaskDefinition definitionView `json:"taskDefinition"`
		Tags           []string       `json:"tags"`
	}{d.view(a), []string{}}, nil
}

// findDefinition finds family:revision, its ARN, or the newest revision of a family.
func (a *account) findDefinition(name string) *definition {
	family, number, exact := strings.Cut(nameOf(name), ":")
	revisions := a.definitions[family]
	if len(revisions) == 0 || !a.owns(name) {
		return nil
	}
	if !exact {
		return revisions[len(revisions)-1]
	}
	for _, d := range revisions {
		if strconv.Itoa(d.revision) == number {
			return d
		}
	}
	return nil
}

type definitionView struct {
	ARN                  string                    `json:"taskDefinitionArn"`
	ContainerDefinitions []containerDefinitionView `json:"containerDefinitions"`
	Family               string                    `json:"family"`
	TaskRoleARN          string                    `json:"taskRoleArn,omitempty"`
	ExecutionRoleARN     string                    `json:"executionRoleArn"`
	NetworkMode          string                    `json:"networkMode"`
	PIDMode              string                    `json:"pidMode,omitempty"`
	Revision             int                       `json:"revision"`
	Volumes              []string                  `json:"volumes"`
	Status               string                    `json:"status"`
	RequiresAttributes   []attributeView           `json:"requiresAttributes"`
	PlacementConstraints []string                  `json:"placementConstraints"`
	Compatibilities      []string                  `json:"compatibilities"`
	RequiresCompat       []string                  `json:"requiresCompatibilities"`
	CPU                  string                    `json:"cpu"`
	Memory               string                    `json:"memory"`
	RegisteredAt         *epoch                    `json:"registeredAt"`
	RegisteredBy         string                    `json:"registeredBy"`
}

type containerDefinitionView struct {
	Name            string              `json:"name"`
	Image           string              `json:"image"`
	CPU             int                 `json:"cpu"`
	Memory          int                 `json:"memory,omitempty"`
	PortMappings    []portView          `json:"portMappings"`
	Essential       bool                `json:"essential"`
	EntryPoint      []string            `json:"entryPoint,omitempty"`
	Command         []string            `json:"command,omitempty"`
	Environment     []attributeView     `json:"environment"`
	Secrets         []secretView        `json:"secrets,omitempty"`
	MountPoints     []map[string]string `json:"mountPoints"`
	VolumesFrom     []map[string]string `json:"volumesFrom"`
	ReadonlyRoot    *bool               `json:"readonlyRootFilesystem,omitempty"`
	LinuxParameters map[string]bool     `json:"linuxParameters,omitempty"`
	Log             logView             `json:"logConfiguration"`
}

type secretView struct {
	Name string `json:"name"`
	From string `json:"valueFrom"`
}

type logView struct {
	Driver  string            `json:"logDriver"`
	Options map[string]string `json:"options"`
}

type portView struct {
	ContainerPort uint16 `json:"containerPort,omitempty"`
	HostPort      uint16 `json:"hostPort,omitempty"`
	Range         string `json:"containerPortRange,omitempty"`
	Protocol      string `json:"protocol"`
	Name          string `json:"name,omitempty"`
}

func (d *definition) arn(a *account) string {
	return a.arn("ecs", "task-definition/"+d.family+":"+strconv.Itoa(d.revision))
}

func (d *definition) view(a *account) definitionView {
	v := definitionView{
		ARN: d.arn(a), ContainerDefinitions: []containerDefinitionView{}, Family: d.family, NetworkMode: or(d.pattern.Network, "awsvpc"), PIDMode: d.pattern.PIDMode, Revision: d.revision,
		ExecutionRoleARN: executionRole(a), Volumes: []string{}, Status: "ACTIVE",
		RequiresAttributes: []attributeView{}, PlacementConstraints: []string{}, Compatibilities: []string{"EC2", "FARGATE"},
		RequiresCompat: []string{launch(d.pattern)}, CPU: or(d.pattern.CPU, "256"), Memory: or(d.pattern.Memory, "512"),
		RegisteredAt: when(d.registered), RegisteredBy: "arn:aws:iam::" + a.id + ":role/deploy",
	}
	if !d.pattern.NoRole {
		v.TaskRoleARN = a.taskRole(d)
	}
	for _, described := range d.pattern.Containers {
		v.ContainerDefinitions = append(v.ContainerDefinitions, (&container{pattern: described}).definitionView(a))
	}
	return v
}

func (k *container) definitionView(a *account) containerDefinitionView {
	v := containerDefinitionView{
		Name: k.pattern.Name, Image: k.image(a), Memory: k.pattern.Memory, PortMappings: []portView{}, Essential: !k.pattern.NonEssential, EntryPoint: k.pattern.EntryPoint,
		Environment: []attributeView{}, MountPoints: []map[string]string{}, VolumesFrom: []map[string]string{},
		LinuxParameters: map[string]bool{"initProcessEnabled": !k.pattern.NoInit}, Command: k.pattern.Command,
		Log: logView{"awslogs", map[string]string{"awslogs-group": "/ecs/" + k.pattern.Name, "awslogs-region": a.region, "awslogs-stream-prefix": "ecs"}},
	}
	for _, variable := range k.pattern.Environment {
		name, value, _ := strings.Cut(variable, "=")
		v.Environment = append(v.Environment, attributeView{name, value})
	}
	for _, secret := range k.pattern.Secrets {
		name, from, _ := strings.Cut(secret, "=")
		v.Secrets = append(v.Secrets, secretView{name, from})
	}
	if k.pattern.ReadonlyRootFS {
		readonly := true
		v.ReadonlyRoot = &readonly
	}
	for _, port := range slices.Sorted(maps.Keys(k.pattern.Ports)) {
		v.PortMappings = append(v.PortMappings, portView{port, port, "", "tcp", or(k.pattern.PortNames[port], k.pattern.Name+"-"+strconv.Itoa(int(port))+"-tcp")})
	}
	for _, port := range k.pattern.UDP {
		v.PortMappings = append(v.PortMappings, portView{port, port, "", "udp", k.pattern.Name + "-" + strconv.Itoa(int(port)) + "-udp"})
	}
	for _, ports := range k.pattern.Ranges {
		v.PortMappings = append(v.PortMappings, portView{Range: ports, Protocol: "tcp", Name: k.pattern.Name + "-" + ports + "-tcp"})
	}
	return v
}

func (a *account) taskRole(d *definition) string {
	return "arn:aws:iam::" + a.id + ":role/" + d.family + "-task"
}
