/**
 * Volumes, and what is in them.
 *
 * @module
 */
import { VolumeView } from "../../kv/schema/volume.ts";
import { type CallOptions, Nothing, type ProjectQuery, type Requests, seg } from "./request.ts";

/** Nodes take a while to remove a volume with much in it. */
const VOLUME_MS = 30_000;

export function volumeCalls({ call, list, openSocket }: Requests) {
  return {
    listVolumes: (query: ProjectQuery = {}, o: CallOptions = {}) =>
      list("/v1/volumes", VolumeView, query, o),
    getVolume: (ref: string, project?: string, o: CallOptions = {}) =>
      call("GET", `/v1/volumes/${seg(ref)}`, VolumeView, { ...o, query: { project } }),
    /** With what is in it, on every node; forced: also if some do not answer. */
    deleteVolume: (
      ref: string,
      query: { project?: string; force?: boolean } = {},
      o: CallOptions = {},
    ) =>
      call("DELETE", `/v1/volumes/${seg(ref)}`, Nothing, {
        ...o,
        query: { ...query },
        extraTimeoutMs: VOLUME_MS,
      }),
    openBackup: (volumeRef: string, options: { project?: string; node?: string }) =>
      openSocket(`/v1/volumes/${seg(volumeRef)}/backup`, options),
    openRestore: (volumeRef: string, options: { project?: string; node?: string }) =>
      openSocket(`/v1/volumes/${seg(volumeRef)}/restore`, options),
  };
}
