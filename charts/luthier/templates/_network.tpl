{{/* Pods of some parts of this release: (list $ (list "gateway")). */}}
{{- define "luthier.peer" -}}
{{- $root := index . 0 -}}
{{- $name := default $root.Chart.Name $root.Values.nameOverride -}}
{{- $same := dict "app.kubernetes.io/name" $name "app.kubernetes.io/instance" $root.Release.Name -}}
{{- $one := dict "key" "app.kubernetes.io/component" "operator" "In" "values" (index . 1) -}}
{{- dict "podSelector" (dict "matchLabels" $same "matchExpressions" (list $one)) | toJson -}}
{{- end -}}

{{- define "luthier.nameLookup" -}}
- ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }]
{{- end -}}

{{- define "luthier.outside" -}}
{{- /* A rule without addresses would open all of them. */}}
{{- with .Values.networkPolicies.egressCidrs }}
- to:
    {{- range . }}
    - ipBlock: { cidr: {{ . | quote }} }
    {{- end }}
{{- end }}
{{- end -}}
