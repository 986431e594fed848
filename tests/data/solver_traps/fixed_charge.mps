* True optimum 11191. CBC 2.10.3 as it comes says 11297.
NAME trap FREE
ROWS
 N OBJ
 L r000000
 L r000001
 L r000002
 L r000003
 G r000004
 L r000005
COLUMNS
    MARK      'MARKER'                 'INTORG'
    x000000 OBJ 678
    x000000 r000000 1
    x000000 r000004 0.08184393292992728
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000001 OBJ 408
    x000001 r000000 -9
    x000001 r000005 1
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000002 OBJ 1033
    x000002 r000001 1
    x000002 r000004 0.0244095940317327
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000003 OBJ 1294
    x000003 r000001 -7
    x000003 r000005 1
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000004 OBJ 371
    x000004 r000002 1
    x000004 r000004 0.02153787708682297
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000005 OBJ 169
    x000005 r000002 -6
    x000005 r000005 1
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000006 OBJ 784
    x000006 r000003 1
    x000006 r000004 0.08040807445747242
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000007 OBJ 1545
    x000007 r000003 -5
    x000007 r000005 1
    MARK      'MARKER'                 'INTEND'
RHS
    RHS r000000 0
    RHS r000001 0
    RHS r000002 0
    RHS r000003 0
    RHS r000004 1
    RHS r000005 2
BOUNDS
 UP BND x000000 9
 UP BND x000001 1
 UP BND x000002 7
 UP BND x000003 1
 UP BND x000004 6
 UP BND x000005 1
 UP BND x000006 5
 UP BND x000007 1
ENDATA
