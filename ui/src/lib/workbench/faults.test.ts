import { describe, expect, it } from "vitest";
import { faultOfBuild, faultOfPython } from "./faults";
import { mistakeIn } from "./python";

describe("where something is wrong", () => {
  it("is named by a build that failed", () => {
    expect(faultOfBuild("Dockerfile:3:1: unknown instruction `RUNN`: did you mean RUN?")).toEqual({ file: "Dockerfile", line: 3, text: "unknown instruction `RUNN`: did you mean RUN?" });
    expect(faultOfBuild("/home/me/app/Dockerfile.dev:12: `RUN false` ended with code 1; its last output:\nno")).toEqual({ file: "Dockerfile.dev", line: 12, text: "`RUN false` ended with code 1; its last output:" });
    expect(faultOfBuild("the build was cancelled")).toBeNull();
  });

  it("is the innermost line of the project in a traceback", () => {
    const log = [
      "Traceback (most recent call last):",
      '  File "/app/app.py", line 9, in <module>',
      "    serve()",
      '  File "/app/helper.py", line 2, in serve',
      "    return 1 / 0",
      '  File "/usr/lib/python3/flask.py", line 99, in run',
      "ZeroDivisionError: division by zero",
    ];
    expect(faultOfPython(log, ["app.py", "helper.py"])).toEqual({ file: "helper.py", line: 2, text: "ZeroDivisionError: division by zero" });
    expect(faultOfPython(log, ["other.py"])).toBeNull();
    expect(faultOfPython(['File "/app/app.py", line 9'], ["app.py"])).toBeNull();
  });
});

describe("what Python cannot read", () => {
  it("is found at its line", () => {
    expect(mistakeIn("import os\n\n\ndef f(:\n    pass\n")).toBe(4);
    expect(mistakeIn("x = 1\ny = = 2\n")).toBe(2);
    // At a bracket too many the grammar stops a line sooner, and the words allow for it.
    expect([1, 2]).toContain(mistakeIn("import os\n)\n"));
    expect(mistakeIn('x = (1,\n\nprint("never closed")\n')).not.toBeNull();
  });

  it("is not what it can read", () => {
    const good = [
      "from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.route('/')\ndef index() -> str:\n    return f\"{1 + 1:>{8}} {'a'}\"\n",
      "match x:\n    case [1, *rest] if rest:\n        pass\n    case _:\n        ...\n",
      "async def f(a, /, b, *, c: int = 1, **more):\n    async with a as b, c: yield await b\n",
      "type X = int | None\ndef g[T](x: T) -> T: return x\nif (n := 10) > 5: print(n)\n",
      "try:\n    pass\nexcept* (A, B) as e:\n    raise e from None\nelse:\n    del x[1:2, ...]\n",
      "", "# only words\n", "x = '''\n)\n'''\n", "print(*a, sep='')\nlambda *a, **k: (a, k)\n0x_ff; 1_000j; 1e-9\n",
    ];
    for (const text of good) expect(mistakeIn(text), text).toBeNull();
  });
});
