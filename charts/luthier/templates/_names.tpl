{{/* Name of an object of a part: (list $ "gateway"). At most 63 characters, the part's name is never cut. */}}
{{- define "luthier.fullname" -}}
{{- $release := .Release.Name -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := .Values.fullnameOverride | default (ternary $release (printf "%s-%s" $release $name) (contains $name $release)) -}}
{{- $full | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "luthier.name" -}}
{{- $part := index . 1 -}}
{{- printf "%s-%s" (include "luthier.fullname" (index . 0)) $part -}}
{{- end -}}

{{- define "luthier.selector" -}}
app.kubernetes.io/name: {{ default (index . 0).Chart.Name (index . 0).Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 | quote }}
{{- end -}}

{{- define "luthier.labels" -}}
{{- $root := index . 0 -}}
{{ include "luthier.selector" . }}
app.kubernetes.io/part-of: luthier
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | quote }}
{{- range $key, $value := $root.Values.commonLabels }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* The metadata of an object in the release's namespace: (list $ "gateway"), or with annotations of its own as the third. */}}
{{- define "luthier.metadata" -}}
{{- $root := index . 0 -}}
{{- $own := dict -}}
{{- if gt (len .) 2 }}{{ $own = index . 2 }}{{ end -}}
name: {{ include "luthier.name" . }}
namespace: {{ $root.Release.Namespace | quote }}
labels:
  {{- include "luthier.labels" . | nindent 2 }}
{{- with merge (dict) $own $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* registry/repository:tag@digest of an image: (list $ image). */}}
{{- define "luthier.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := default $image.registry $root.Values.global.imageRegistry -}}
{{- $name := ternary $image.repository (printf "%s/%s" $registry $image.repository) (empty $registry) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (toString $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The image of one of Luthier's parts: (list $ "gateway"). */}}
{{- define "luthier.partImage" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- $image := $root.Values.image -}}
{{- $own := index $root.Values.services $part | default dict -}}
{{- $repository := printf "%s/%s" $image.repository $part -}}
{{- $digest := $own.digest | default "" -}}
{{- include "luthier.image" (list $root (dict "registry" $image.registry "repository" $repository "tag" ($image.tag | default $root.Chart.AppVersion) "digest" $digest)) -}}
{{- end -}}

{{/* A part's own values over those of all: (list $ "gateway"), as YAML. */}}
{{- define "luthier.part" -}}
{{- $root := index . 0 -}}
{{- mergeOverwrite (deepCopy $root.Values.serviceDefaults) (index $root.Values.services (index . 1) | default dict) | toYaml -}}
{{- end -}}

{{/* A volume's claim can be mounted in its own namespace alone: without a bucket runs are where the platform is. */}}
{{- define "luthier.runsNamespace" -}}
{{- $own := ternary .Release.Namespace (printf "%s-runs" .Release.Name) (and (empty .Values.artifacts.url) (empty .Values.artifacts.volume.runsClaim)) -}}
{{- .Values.runs.namespace | default $own -}}
{{- end -}}

{{- define "luthier.artifactsClaim" -}}
{{- .Values.artifacts.volume.existingClaim | default (include "luthier.name" (list . "artifacts")) -}}
{{- end -}}

{{/* Parts with tables, in the order in which they are brought up to date. */}}
{{- define "luthier.withTables" -}}
[gateway, datasets, registry, training, evaluation]
{{- end -}}

{{/* Every image of the release, a line each. */}}
{{- define "luthier.images" -}}
{{- $all := list -}}
{{- range list "cli" "gateway" "web" "datasets" "training" "trainer" "evaluation" "registry" "inference" -}}
{{- $all = append $all (include "luthier.partImage" (list $ .)) -}}
{{- end -}}
{{- if .Values.nats.bundled }}{{ $all = append $all (include "luthier.image" (list $ .Values.nats.image)) }}{{ end -}}
{{- if .Values.database.bundled }}{{ $all = append $all (include "luthier.image" (list $ .Values.database.image)) }}{{ end -}}
{{- range (include "luthier.clusterSettings" . | fromJson).profiles }}{{ $all = append $all .image }}{{ end -}}
{{- $all | uniq | join "\n" -}}
{{- end -}}
