package aws

import (
	"os"
	"strings"

	"culvert/internal/say"
)

// pipeline is the job of a CI system that this process runs in, as its environment says it. The zero value is none.
type pipeline struct {
	run   string // tells the job apart from all others of its system, and is the same in each of its processes
	about string // the job in words
}

// system is a CI system, by what it sets in the environment of each job.
type system struct {
	mark, value string   // a variable that only this system sets; to value, where that is not empty
	word        string   // begins run, except for GitHub's, whose runs were the first here to be named
	run         []string // variables whose values make a run
	about       string   // with variables as ${NAME}
}

// systems are the CI systems whose jobs are known, with the variables that their documentation names as predefined.
func systems() []system {
	return []system{
		{"GITHUB_RUN_ID", "", "", []string{"GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"},
			"GitHub run ${GITHUB_RUN_ID} attempt ${GITHUB_RUN_ATTEMPT} of ${GITHUB_REPOSITORY}, job ${GITHUB_JOB}"},
		{"GITLAB_CI", "true", "gitlab", []string{"CI_PIPELINE_ID", "CI_JOB_ID"},
			"GitLab pipeline ${CI_PIPELINE_ID} job ${CI_JOB_ID} (${CI_JOB_NAME}) of ${CI_PROJECT_PATH}"},
		{"CIRCLECI", "true", "circleci", []string{"CIRCLE_WORKFLOW_ID", "CIRCLE_BUILD_NUM"},
			"CircleCI workflow ${CIRCLE_WORKFLOW_ID} job ${CIRCLE_BUILD_NUM} (${CIRCLE_JOB}) of ${CIRCLE_PROJECT_USERNAME}/${CIRCLE_PROJECT_REPONAME}"},
		{"BUILDKITE", "true", "buildkite", []string{"BUILDKITE_JOB_ID"},
			"Buildkite build ${BUILDKITE_BUILD_NUMBER} of ${BUILDKITE_ORGANIZATION_SLUG}/${BUILDKITE_PIPELINE_SLUG}, job ${BUILDKITE_JOB_ID} (${BUILDKITE_LABEL})"},
		{"BITBUCKET_BUILD_NUMBER", "", "bitbucket", []string{"BITBUCKET_BUILD_NUMBER", "BITBUCKET_STEP_UUID"},
			"Bitbucket build ${BITBUCKET_BUILD_NUMBER} of ${BITBUCKET_REPO_FULL_NAME}, step ${BITBUCKET_STEP_UUID}"},
		{"TF_BUILD", "True", "azure", []string{"BUILD_BUILDID", "SYSTEM_JOBID", "SYSTEM_JOBATTEMPT"},
			"Azure build ${BUILD_BUILDID} (${BUILD_DEFINITIONNAME}) of ${SYSTEM_TEAMPROJECT}, job ${SYSTEM_JOBDISPLAYNAME} attempt ${SYSTEM_JOBATTEMPT}"},
		{"JENKINS_URL", "", "", []string{"BUILD_TAG"}, "Jenkins build ${BUILD_NUMBER} of ${JOB_NAME}"}, // BUILD_TAG begins with jenkins
	}
}

// runsHere reports whether the environment is that of a job of the system.
func (s system) runsHere() bool {
	value := os.Getenv(s.mark)
	return value != "" && (s.value == "" || strings.EqualFold(value, s.value))
}

// pipelineEnvironment is the job that this process runs in. Where a system says that it is there but not which job this is,
// there is none.
func pipelineEnvironment() pipeline {
	for _, s := range systems() {
		if !s.runsHere() || os.Getenv(s.run[0]) == "" {
			continue
		}
		var words []string
		if s.word != "" {
			words = append(words, s.word)
		}
		for _, name := range s.run {
			if value := strings.Trim(os.Getenv(name), "{}"); value != "" { // Bitbucket's UUIDs are in braces
				words = append(words, value)
			}
		}
		return pipeline{run: strings.Join(words, "-"), about: os.Expand(s.about, os.Getenv)}
	}
	return pipeline{}
}

// maxReason is how many characters StartSession keeps of a reason (SSM API Reference, StartSession).
const maxReason = 256

// reason is what StartSession keeps with the session. Names of jobs are anybody's text.
func (p pipeline) reason() string {
	if p.run == "" {
		return "culvert"
	}
	reason := []rune(say.Line("culvert: " + p.about))
	return string(reason[:min(len(reason), maxReason)])
}
