package ci

import (
	"fmt"
	"strings"
)

// head is the first line of a file.
func head(s system, comment string) string {
	return comment + " " + s.file + ", written by culvert ci " + s.name + "\n"
}

// github uses the action, which closes by itself.
func github(s system, j Job) string {
	permissions := "      contents: read\n"
	if j.Role {
		permissions = "      id-token: write # for the role\n" + permissions
	}
	step := strings.TrimSuffix(j.Step, "\n")
	step = strings.Replace(step, "\n  with:\n", "\n  id: tunnel\n  with:\n", 1)
	return head(s, "#") + `name: tunnel
on: push
permissions: {}
jobs:
  test:
    runs-on: ubuntu-latest
    permissions:
` + permissions + `    steps:
      - uses: actions/checkout@v6
` + block("      ", strings.Split(step, "\n")) + `      - run: |
` + block("          ", []string{quoted(j.Command)}) + `        env:
          CULVERT_HOST: ${{ steps.tunnel.outputs.host }}
          CULVERT_PORT: ${{ steps.tunnel.outputs.port }}
          http_proxy: ${{ steps.tunnel.outputs.proxy-url }}
          https_proxy: ${{ steps.tunnel.outputs.proxy-url }}
`
}

// gitlab runs script in one shell, and after_script in another one: since 17.0 also when the job is cancelled.
func gitlab(s system, j Job) string {
	oidc := ""
	if j.Role {
		oidc = fmt.Sprintf("  id_tokens:\n    %s:\n      aud: sts.amazonaws.com\n", s.tokenOf(j))
	}
	return head(s, "#") + `test:
  image: ` + image(j) + ` # or one of yours that has curl
` + oidc + `  script:
    - |
` + block("      ", s.script(j)) + `  after_script:
    - |
` + block("      ", s.after())
}

func circleci(s system, j Job) string {
	return head(s, "#") + `version: 2.1
jobs:
  test:
    docker:
      - image: cimg/base:current
    steps:
      - checkout
      - run:
          name: Tests through the tunnel
          command: |
` + block("            ", s.script(j)) + `      - run:
          name: Close the tunnel
          when: always
          command: |
` + block("            ", s.after()) + `workflows:
  test:
    jobs:
      - test
`
}

// buildkite has every dollar sign twice: pipeline upload replaces what stands behind a single one.
func buildkite(s system, j Job) string {
	script := block("      ", s.script(j))
	return head(s, "#") + `# $$ is a dollar sign for the shell, as buildkite-agent pipeline upload reads it
steps:
  - label: "Tests through the tunnel"
    command: |
` + strings.ReplaceAll(script, "$", "$$")
}

func bitbucket(s system, j Job) string {
	oidc := ""
	if j.Role {
		oidc = "        oidc: true\n"
	}
	return head(s, "#") + `image: atlassian/default-image:4
pipelines:
  default:
    - step:
        name: Tests through the tunnel
` + oidc + `        script:
          - |
` + block("            ", s.script(j)) + `        after-script:
          - |
` + block("            ", s.after())
}

func azure(s system, j Job) string {
	oidc := ""
	if j.Role {
		oidc = `    env:
      SYSTEM_ACCESSTOKEN: $(System.AccessToken)
      SERVICE_CONNECTION_ID: SERVICE-CONNECTION-ID # of a service connection, whose token is asked for
`
	}
	return head(s, "#") + `trigger:
  - main
pool:
  vmImage: ubuntu-latest
steps:
  - bash: |
` + block("      ", s.script(j)) + `    displayName: Tests through the tunnel
` + oidc + `  - bash: |
` + block("      ", s.after()) + `    displayName: Close the tunnel
    condition: always()
`
}

// jenkins is a declarative pipeline. Between its quotes Groovy knows the backslash alone.
func jenkins(s system, j Job) string {
	groovy := func(indent string, lines []string) string {
		text := strings.ReplaceAll(block(indent, lines), `\`, `\\`)
		return strings.ReplaceAll(text, "'''", `\'\'\'`)
	}
	sh := "        sh '''\n" + groovy("          ", s.script(j)) + "        '''\n"
	if j.Role {
		sh = "        withCredentials([string(credentialsId: 'culvert-id-token', variable: '" + s.tokenOf(j) + "')]) {\n" +
			"          sh '''\n" + groovy("            ", s.script(j)) + "          '''\n        }\n"
	}
	return head(s, "//") + `pipeline {
  agent any
  stages {
    stage('test') {
      steps {
` + sh + `      }
    }
  }
  post {
    always {
      sh '''
` + groovy("        ", s.after()) + `      '''
    }
  }
}
`
}

// image is culvert's own, with a shell.
func image(j Job) string {
	return "ghcr.io/" + strings.ToLower(j.Repository) + ":" + j.Version + "-shell"
}
