* True optimum 255. CBC 2.10.3 as it comes says 1318.
NAME trap FREE
ROWS
 N OBJ
 G r000000
 L r000001
 L r000002
COLUMNS
    MARK      'MARKER'                 'INTORG'
    x000000 OBJ 1481
    x000000 r000001 4
    x000000 r000002 8
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000001 OBJ 1216
    x000001 r000000 0.76
    x000001 r000001 2
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000002 OBJ 51
    x000002 r000000 0.222213635
    x000002 r000002 1
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000003 OBJ 525
    x000003 r000000 0.869280362
    x000003 r000001 4
    x000003 r000002 2
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000004 OBJ 404
    MARK      'MARKER'                 'INTEND'
RHS
    RHS r000000 1
    RHS r000001 3
    RHS r000002 10
BOUNDS
 UP BND x000000 1
 UP BND x000001 9
 UP BND x000002 40
 UP BND x000003 1
 UP BND x000004 40
ENDATA
