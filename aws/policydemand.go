package aws

import (
	"context"
	"slices"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
)

// ownerKey is the condition key for the tag that tells who has started a task on demand.
const ownerKey = "aws:ResourceTag/" + tagOwner

// onDemand lets a caller run tasks of one family, tagged with its own name, and stop those and no others (Service Authorization
// Reference of ECS; ECS Developer Guide, "Grant permission to tag resources on creation").
func (r Reach) onDemand() []Statement {
	tasks := []string{r.arn("ecs", "task/"+r.Cluster+"/*")}
	statements := []Statement{
		{
			Sid: "Run", Effect: "Allow", Action: []string{runAction}, Resource: []string{r.arn("ecs", "task-definition/"+r.Run+":*")},
			Condition: map[string]map[string]any{
				"ArnEquals":    {"ecs:cluster": r.arn("ecs", "cluster/"+r.Cluster)},
				"StringEquals": {"aws:RequestTag/" + tagOwner: "${aws:userid}"},
			},
		},
		{
			Sid: "SignRun", Effect: "Allow", Action: []string{"ecs:TagResource"}, Resource: tasks,
			Condition: map[string]map[string]any{"StringEquals": {"ecs:CreateAction": "RunTask"}}, // not on a task that exists: the tag says who owns it
		},
		{
			Sid: "PassRoles", Effect: "Allow", Action: []string{"iam:PassRole"}, Resource: r.roles(),
			Condition: map[string]map[string]any{"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}, //nolint:gosec // a service, no secret
		},
		{
			Sid: "StopOwn", Effect: "Allow", Action: []string{"ecs:StopTask"}, Resource: tasks,
			Condition: map[string]map[string]any{"StringLike": {ownerKey: r.owners()}},
		},
	}
	if r.Share {
		statements = append(statements, Statement{
			Sid: "NoteUse", Effect: "Allow", Action: []string{"ecs:TagResource", "ecs:UntagResource"}, Resource: tasks,
			Condition: map[string]map[string]any{
				"StringLike":              {ownerKey: r.owners()},
				"ForAllValues:StringLike": {"aws:TagKeys": []string{tagUser + "*", tagClosing}},
			},
		})
	}
	if len(r.roles()) == 0 {
		statements = slices.DeleteFunc(statements, func(s Statement) bool { return s.Sid == "PassRoles" })
	}
	if !r.Browse {
		statements = append(statements, Statement{Sid: "Define", Effect: "Allow", Action: []string{describeDefinitionAction}, Resource: []string{"*"}}) // the action takes no other resource
	}
	return statements
}

// scaling lets a caller scale one service, and note in tags of culvert's own who uses it.
func (r Reach) scaling() []Statement {
	service := []string{r.arn("ecs", "service/"+r.Cluster+"/"+r.Start)}
	return []Statement{
		{Sid: "Scale", Effect: "Allow", Action: []string{updateServiceAction}, Resource: service},
		{
			Sid: "NoteService", Effect: "Allow", Action: []string{"ecs:TagResource", "ecs:UntagResource"}, Resource: service,
			Condition: map[string]map[string]any{"ForAllValues:StringLike": {"aws:TagKeys": []string{tagRaised, tagUser + "*"}}},
		},
	}
}

// owners are the names with which a caller's tasks are tagged: its own and, for a role, those of its other sessions that
// culvert has named, such as that of a job that was killed.
func (r Reach) owners() []string {
	owners := []string{"${aws:userid}"}
	if r.RoleID != "" {
		owners = append(owners, r.RoleID+":"+roleSessionPrefix+"*")
	}
	return owners
}

// roles are the roles that ECS passes to the tasks.
func (r Reach) roles() []string {
	roles := slices.DeleteFunc(r.RunRoles[:], func(arn string) bool { return arn == "" })
	slices.Sort(roles)
	return slices.Compact(roles)
}

// RolesOf are the ARNs of the task role and the execution role of a task definition.
func (c *Client) RolesOf(ctx context.Context, definition string) (roles [2]string, err error) {
	d, err := c.definitionOf(ctx, definition)
	if err != nil {
		return roles, err
	}
	return [2]string{sdk.ToString(d.TaskRoleArn), sdk.ToString(d.ExecutionRoleArn)}, nil
}
