{{/* What a part's pods have to be made anew for when it changes: (list $ "trainer"). */}}
{{- define "luthier.settingsOf" -}}
{{- if eq (index . 1) "trainer" -}}
{{- include "luthier.clusterSettings" (index . 0) -}}
{{- end -}}
{{- end -}}

{{/* The trainer's cluster settings, as JSON. */}}
{{- define "luthier.clusterSettings" -}}
{{- $claim := "" -}}
{{- if empty .Values.artifacts.url -}}
{{- $claim = .Values.artifacts.volume.runsClaim -}}
{{- if and (empty $claim) (eq (include "luthier.runsNamespace" .) .Release.Namespace) -}}
{{- $claim = include "luthier.artifactsClaim" . -}}
{{- end -}}
{{- $_ := required "artifacts.volume.runsClaim: the claim of the artifacts' volume in runs.namespace, as artifacts.url is empty" $claim -}}
{{- end -}}
{{- $pull := ternary (dict) (dict "imagePullSecrets" .Values.global.imagePullSecrets) (empty .Values.global.imagePullSecrets) -}}
{{- $queue := ternary (dict "queue" .Values.kueue.queue) (dict) .Values.kueue.create -}}
{{- $all := merge (dict "serviceAccount" .Values.runs.serviceAccount) $queue (ternary (dict) (dict "artifactsClaim" $claim) (empty $claim)) $pull -}}
{{- $profiles := list -}}
{{- range .Values.runs.profiles -}}
{{- $profiles = append $profiles (merge (deepCopy .) (include "luthier.runtimeOf" (list $ .) | fromYaml) $all) -}}
{{- end -}}
{{- merge (dict "namespace" (include "luthier.runsNamespace" .) "profiles" $profiles) .Values.runs.settings | toJson -}}
{{- end -}}

{{/* What a profile need not say, as its runtime is one of Luthier's: (list $ profile), as YAML. */}}
{{- define "luthier.runtimeOf" -}}
{{- $root := index . 0 -}}
{{- $profile := index . 1 -}}
{{- $image := index $root.Values.runs.runtimes $profile.runtime -}}
{{- $known := index ($root.Files.Get "files/runtimes.yaml" | fromYaml) $profile.runtime -}}
{{- if and $image (not $profile.image) -}}
{{- $_ := required (printf "runs.runtimes.%s.digest: the digest of the image (sha256:...) that runs of the profile \"%s\" take" $profile.runtime $profile.name) $image.digest -}}
{{- merge (dict "image" (include "luthier.image" (list $root $image))) $known | toYaml -}}
{{- else -}}
{{- $known | default dict | toYaml -}}
{{- end -}}
{{- end -}}
