* True optimum 7937. CBC 2.10.3 says 8041, also with preprocessing off.
NAME trap FREE
ROWS
 N OBJ
 G r000000
 G r000001
COLUMNS
    MARK      'MARKER'                 'INTORG'
    x000000 OBJ 1304
    x000000 r000000 0.07255433563948904
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000001 OBJ 964
    x000001 r000000 0.1545031815865097
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000002 OBJ 758
    x000002 r000001 0.8671335001324177
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000003 OBJ 431
    x000003 r000001 0.347731532578806
    MARK      'MARKER'                 'INTEND'
RHS
    RHS r000000 1
    RHS r000001 1
BOUNDS
 UP BND x000000 12
 UP BND x000001 12
 UP BND x000002 2
 UP BND x000003 4
ENDATA
