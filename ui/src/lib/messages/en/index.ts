import { common } from "./common";
import { doctor } from "./doctor";
import { experiments } from "./experiments";
import { fit } from "./fit";
import { images } from "./images";
import { instances } from "./instances";
import { lab } from "./lab";
import { lane } from "./lane";
import { lessons } from "./lessons";
import { postgres } from "./postgres";
import { results } from "./results";
import { settings } from "./settings";
import { shell } from "./shell";
import { teacher } from "./teacher";
import { terminal } from "./terminal";
import { workbench } from "./workbench";

export const en = {
  common,
  doctor,
  experiments,
  fit,
  images,
  instances,
  lab,
  lane,
  lessons,
  postgres,
  results,
  settings,
  shell,
  teacher,
  terminal,
  workbench,
};
