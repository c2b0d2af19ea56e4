/** What the HTTP API sends and takes: made from the server's description, under the names that the pages use. */
import type {
  ClassesOut,
  DatasetOut,
  DiffOut,
  ExportAsked,
  JobOut,
  KeyMade,
  KeyOut,
  LegendOut,
  MaskOut,
  NearestAsked,
  Problem as ProblemOut,
  ProjectOut,
  RoiClassOut,
  Search,
  StatisticsRequest,
  VersionOut,
  ViewOut,
} from "./api.gen";

export type {
  Binding,
  ClassRow,
  Completion,
  DiffFrame,
  DiffItem,
  Explained,
  FilterRule,
  Frame,
  FrameOut,
  Hit,
  Ids,
  LabelRule,
  LegendRow,
  MaskMove,
  Me,
  Nearest,
  Parsed,
  ParseQuery,
  Roi,
  RoiClasses,
  SearchPage,
  Source,
  SourceHit,
  Statistics,
  StatisticsRow,
  Unmapped,
  VectorField,
  VideoInfo,
  ViewPage,
} from "./api.gen";

/** One page of a list. */
export interface Page<T> {
  items: T[];
  total?: number;
  next?: string | null;
}

/** The secret is only in the answer that makes the key. */
export type ApiKey = KeyOut & Partial<KeyMade>;
/** What a data view makes of a mask. */
export type ClassTable = ClassesOut;
export type Dataset = DatasetOut;
export type Dataview = ViewOut;
export type ExportBody = ExportAsked;
export type Job = JobOut;
export type Legend = LegendOut;
export type MaskInfo = MaskOut;
export type NearestBody = NearestAsked;
/** A refusal; what is not JSON of ours has at least a title and a status. */
export type Problem = Partial<ProblemOut> & { title: string; status: number };
export type Project = ProjectOut;
export type RoiClass = RoiClassOut;
export type SearchBody = Search;
export type StatisticsBody = StatisticsRequest;
export type Version = VersionOut;
export type VersionDiff = DiffOut;
