package emulator

// instanceView is what is emulated of a container instance (ECS API Reference, ContainerInstance).
type instanceView struct {
	ARN            string      `json:"containerInstanceArn"`
	EC2            string      `json:"ec2InstanceId"`
	Version        versionView `json:"versionInfo"`
	Status         string      `json:"status"`
	AgentConnected bool        `json:"agentConnected"`
}

type versionView struct {
	Agent  string `json:"agentVersion"`
	Hash   string `json:"agentHash"`
	Docker string `json:"dockerVersion"`
}

func (e *Emulator) describeContainerInstances(r *request, a *account) (any, error) {
	in, err := decode[struct {
		Cluster   string
		Instances []string `json:"containerInstances"`
	}](r)
	if err != nil {
		return nil, err
	}
	c, err := a.mustFind(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Instances) == 0 {
		return nil, invalidParameter("Container instance cannot be empty.")
	}
	out := struct {
		Instances []instanceView `json:"containerInstances"`
		Failures  []failure      `json:"failures"`
	}{[]instanceView{}, []failure{}}
	for _, wanted := range in.Instances {
		found := false
		for _, t := range c.tasks {
			if found = t.instance != "" && t.instance == nameOf(wanted); !found {
				continue
			}
			out.Instances = append(out.Instances, instanceView{
				ARN: a.arn("ecs", "container-instance/"+c.name+"/"+t.instance), EC2: "i-0" + t.instance[:16], Status: "ACTIVE", AgentConnected: true,
				Version: versionView{Agent: or(t.pattern.ECSAgent, "1.79.0"), Hash: "0f1e2d3c", Docker: "DockerVersion: 25.0.6"},
			})
			break
		}
		if !found {
			out.Failures = append(out.Failures, a.missing("container-instance", c.name+"/"+nameOf(wanted)))
		}
	}
	return out, nil
}
