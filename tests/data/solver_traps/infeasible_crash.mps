* Infeasible. CBC 2.10.3 with its preprocessing off crashes.
NAME trap FREE
ROWS
 N OBJ
 G r000000
 L r000001
COLUMNS
    MARK      'MARKER'                 'INTORG'
    x000000 OBJ 804
    x000000 r000000 0.158057691
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000001 OBJ 999
    x000001 r000001 1
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000002 OBJ 999
    x000002 r000000 0.79
    x000002 r000001 8
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    x000003 OBJ 398
    MARK      'MARKER'                 'INTEND'
RHS
    RHS r000000 1
    RHS r000001 3
BOUNDS
 UP BND x000000 5
 UP BND x000001 9
 UP BND x000002 3
 UP BND x000003 1
ENDATA
