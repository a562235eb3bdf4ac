package aws

import (
	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// addTaskSets reads the task sets of a service that ECS does not deploy itself (CODE_DEPLOY, EXTERNAL), where they take the
// place of deployments. What only task sets say about the service is taken from the PRIMARY one.
func (s *Service) addTaskSets(sets []types.TaskSet) {
	for _, t := range sets[:min(len(sets), maxListed)] {
		if sdk.ToString(t.Status) == "PRIMARY" {
			s.Deployment = sdk.ToString(t.Id)
			s.TaskDefinition = orWord(s.TaskDefinition, sdk.ToString(t.TaskDefinition))
			s.LaunchType = orWord(s.LaunchType, string(t.LaunchType))
			if n := t.NetworkConfiguration; n != nil && len(s.Network.Subnets) == 0 {
				s.Network = interfacesFrom(n)
			}
		}
		s.Deployments = append(s.Deployments, Deployment{
			Status: sdk.ToString(t.Status), TaskDefinition: sdk.ToString(t.TaskDefinition),
			Desired: int(t.ComputedDesiredCount), Running: int(t.RunningCount), Pending: int(t.PendingCount), CreatedAt: sdk.ToTime(t.CreatedAt),
		})
	}
}

// interfacesFrom reads the network in which tasks are started; zero in modes other than awsvpc.
func interfacesFrom(n *types.NetworkConfiguration) Interfaces {
	if n == nil || n.AwsvpcConfiguration == nil {
		return Interfaces{}
	}
	return Interfaces{
		Subnets: briefly(n.AwsvpcConfiguration.Subnets), Groups: briefly(n.AwsvpcConfiguration.SecurityGroups),
		PublicAddress: n.AwsvpcConfiguration.AssignPublicIp == types.AssignPublicIpEnabled,
	}
}
